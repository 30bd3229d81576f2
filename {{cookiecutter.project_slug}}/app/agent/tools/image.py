"""OpenAI's hosted image generation. It runs at OpenAI and exists on the Responses API only."""

import base64
import io
from typing import cast

from agents import ImageGenerationTool
from chatkit.agents import ResponseStreamConverter
from chatkit.errors import CustomStreamError

from engine import AgentTool, TurnContext
from engine.attachments.service import FileAttachments
from engine.tool_parts import AppError, translate

# The number of unfinished versions that are shown before the finished picture.
PARTIAL_IMAGES = 2
FILE_NAME = "picture.png"


class StoredImages(ResponseStreamConverter):
    """Stores a finished picture as an attachment; the thread item holds only its address."""

    def __init__(self, turn: TurnContext) -> None:
        super().__init__(partial_images=PARTIAL_IMAGES)
        self._turn = turn

    async def base64_image_to_url(
        self, image_id: str, base64_image: str, partial_image_index: int | None = None
    ) -> str:
        if partial_image_index is not None:
            # Unfinished versions are streamed and not stored.
            return await super().base64_image_to_url(image_id, base64_image, partial_image_index)
        attachments = cast("FileAttachments", self._turn.attachments)
        content = io.BytesIO(base64.b64decode(base64_image))
        try:
            picture = await attachments.store_generated(
                content, FILE_NAME, self._turn.thread.id, self._turn.request_context
            )
        except AppError as error:
            locale = self._turn.request_context.locale
            problem = translate("The picture could not be kept.", locale)
            reason = translate(error.message, locale)
            raise CustomStreamError(f"{problem} {reason}") from error
        return str(picture.preview_url)


IMAGE = AgentTool(
    id="image",
    label="Image",
    icon="images",
    functions=(
        ImageGenerationTool({"type": "image_generation", "partial_images": PARTIAL_IMAGES}),
    ),
    placeholder="Describe a picture",
    prompt="Draw a lighthouse at dawn, as a woodcut",
    demo_reply=(
        "Pictures are picture at OpenAI and need a key: set `OPENAI_API_KEY` in `.env` and restart."
    ),
    responses_api_only=True,
    converter=StoredImages,
)
