"""OpenAI's hosted image generation. It runs at OpenAI and exists on the Responses API only."""

import base64
import io
from typing import cast

from agents import ImageGenerationTool
from chatkit.agents import ResponseStreamConverter
from chatkit.errors import CustomStreamError

from engine import AgentTool, AppError, TurnContext, translate
from engine.attachments.service import FileAttachments

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
            problem = translate("The picture could not be kept.", locale, IMAGE.translations)
            reason = translate(error.message, locale, attachments.translations)
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
    translations={
        "de": {
            "Image": "Bild",
            "Describe a picture": "Beschreiben Sie ein Bild",
            "Draw a lighthouse at dawn, as a woodcut": "Zeichne einen Leuchtturm im Morgengrauen als Holzschnitt",
            "The picture could not be kept.": "Das Bild konnte nicht aufbewahrt werden.",
        },
        "es": {
            "Image": "Imagen",
            "Describe a picture": "Describa una imagen",
            "Draw a lighthouse at dawn, as a woodcut": "Dibuja un faro al amanecer, como un grabado en madera",
            "The picture could not be kept.": "No se ha podido guardar la imagen.",
        },
        "fr": {
            "Image": "Image",
            "Describe a picture": "Décrivez une image",
            "Draw a lighthouse at dawn, as a woodcut": "Dessine un phare à l’aube, façon gravure sur bois",
            "The picture could not be kept.": "L’image n’a pas pu être conservée.",
        },
        "ja": {
            "Image": "画像",
            "Describe a picture": "画像の内容を入力",
            "Draw a lighthouse at dawn, as a woodcut": "夜明けの灯台を木版画風に描いて",
            "The picture could not be kept.": "画像を保存できませんでした。",
        },
    },
    demo_reply=(
        "Pictures are picture at OpenAI and need a key: set `OPENAI_API_KEY` in `.env` and restart."
    ),
    responses_api_only=True,
    converter=StoredImages,
)
