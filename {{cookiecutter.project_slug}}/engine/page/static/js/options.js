/** @import { ChatKitOptions, ThemeOption } from "@openai/chatkit" */
/** @import { ChatPageFunctions, Fetch, PageConfig } from "../../types" */

import { chatLocale } from "./locale.js";

/**
 * All options of the element. The object is always complete, because `setOptions` does not merge.
 *
 * @param {PageConfig} config
 * @param {string} locale
 * @param {ThemeOption} theme
 * @param {string | null} initialThread
 * @param {Fetch} fetch
 * @param {ChatKitOptions["onClientTool"]} onClientTool
 * @param {ChatPageFunctions} [host] functions of the site around the chat
 * @param {NonNullable<ChatKitOptions["widgets"]>["onAction"]} [onAction]
 * @returns {ChatKitOptions}
 */
export function chatOptions(config, locale, theme, initialThread, fetch, onClientTool, host, onAction) {
  const { element } = config;
  return {
    api: { ...config.api, ...config.extras.api, fetch },
    locale: chatLocale(locale),
    theme,
    frameTitle: config.title,
    initialThread,
    header: {
      enabled: element.header,
      title: { enabled: element.title, text: config.title },
      ...host?.headerActions,
    },
    history: {
      enabled: element.history,
      showDelete: element.delete,
      showRename: element.rename,
    },
    startScreen: { greeting: config.greeting, prompts: config.prompts },
    threadItemActions: { feedback: element.feedback, retry: element.retry },
    composer: {
      placeholder: config.placeholder,
      // Omitted if empty, because it is not documented whether an empty menu is shown.
      ...(config.tools.length > 0 && { tools: config.tools }),
      ...(config.models.length > 0 && { models: config.models }),
      ...config.extras.composer,
    },
    disclaimer: { text: config.disclaimer, highContrast: element.disclaimerInHighContrast },
    thread: { autoScroll: element.autoScroll },
    ...(host?.entities && { entities: host.entities }),
    ...(host?.commands && { commands: { enabled: true, ...host.commands } }),
    widgets: { onAction },
    onClientTool,
  };
}
