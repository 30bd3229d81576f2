/** @import { ChatKitOptions, ThemeOption } from "@openai/chatkit" */
/** @import { Fetch, PageConfig } from "../../types" */

import { chatLocale } from "./locale.js";

/**
 * Everything the element is told. Always the full object: `setOptions` replaces, never merges.
 *
 * @param {PageConfig} config
 * @param {string} locale
 * @param {ThemeOption} theme
 * @param {string | null} initialThread
 * @param {Fetch} fetch
 * @param {ChatKitOptions["onClientTool"]} onClientTool
 * @returns {ChatKitOptions}
 */
export function chatOptions(config, locale, theme, initialThread, fetch, onClientTool) {
  return {
    api: { ...config.api, ...config.extras.api, fetch },
    locale: chatLocale(locale),
    theme,
    frameTitle: config.title,
    initialThread,
    header: { enabled: true, title: { enabled: true, text: config.title } },
    history: { enabled: true, showDelete: true, showRename: true },
    startScreen: { greeting: config.greeting, prompts: config.prompts },
    threadItemActions: { feedback: true, retry: true },
    composer: {
      placeholder: config.placeholder,
      tools: config.tools,
      models: config.models,
      ...config.extras.composer,
    },
    disclaimer: { text: config.disclaimer },
    thread: { autoScroll: true },
    onClientTool,
  };
}
