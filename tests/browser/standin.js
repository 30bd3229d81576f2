// A stand-in for OpenAI's <openai-chatkit>, served to the browser tests at the CDN's address.
//
// It is a custom element with the interface of `@openai/chatkit`, based on the types, the protocol and
// public evidence. It refuses unknown and missing options, and options that are neither plain data nor
// functions. It sends every request, including uploads, through `options.api.fetch`, shows answers as
// plain text, fires the element's events, and has its methods, which reject while a thread loads or an
// answer streams.
//
// Its transport is probably the one of the real element, `@microsoft/fetch-event-source` as published
// on npm: a 4xx is final; a 5xx, a 3xx and a 200 that is not an event stream are repeated up to five
// times; a hidden tab aborts a request and repeats it when it is shown. (The waits between repeats are
// a tenth of the real ones.) Its frame gets the options in its address and uses `postMessage`;
// `chatkit.ready` is fired at the frame's `load`.
//
// Unknown behaviour of the real element, and that of the stand-in:
// - Does it set `openWhenHidden`? Here: no, the library's default.
// - Does switching threads abort an answer? Here: threads cannot be switched during an answer.
// - What happens on an unknown type of event or item? Here: an error.
// - Does its frame send a message before it receives one? Here: yes, except in the test of a frame
//   that only replies.
// - When does `chatkit.response.start` fire? Here: at the first event.
// - What does a stream without events show? Here: nothing.
//
// It cannot test OpenAI's element itself: neither its looks, nor its timing, nor that it conforms to its
// types. It looks plain on purpose, so that its pictures are not confused with the real element.

/** @import { ChatKitEvents, ChatKitOptions, OpenAIChatKit, UserMessageContent } from "@openai/chatkit" */

/** @typedef {Record<string, any>} Json */
/** @typedef {(value: any, place: string) => void} Check throws a TypeError that names the place */

{
  const { src } = /** @type {HTMLScriptElement} */ (document.currentScript);
  const FRAME = new URL("frame.html", src);
  const TRANSPORT = import(new URL("fetch-event-source/index", src).href);
  const MAX_REPEATS = 5;
  const SHORTEST_WAIT = 100;
  const LONGEST_WAIT = 1000;

  /** The errors that the real element reports as `chatkit.error`, by the type of request. */
  /** @type {Record<string, string>} */
  const REPORTED = {
    "threads.get_by_id": "HistoryViewError",
    "threads.list": "HistoryViewError",
    "attachments.create": "FileAttachmentError",
  };

  /** @type {(type: string) => Check} */
  const a = (type) => (value, place) => {
    if (typeof value !== type) throw new TypeError(`${place} is no ${type}`);
  };
  /** @type {(...allowed: unknown[]) => Check} */
  const oneOf = (...allowed) => (value, place) => {
    if (!allowed.includes(value)) throw new TypeError(`${place}: ${value} is not allowed`);
  };
  /** @type {(...checks: Check[]) => Check} */
  const either = (...checks) => (value, place) => {
    /** @type {unknown[]} */
    const errors = [];
    for (const check of checks) {
      try {
        return check(value, place);
      } catch (error) {
        errors.push(error);
      }
    }
    throw errors.at(-1);
  };
  /** @type {(check: Check) => Check} */
  const list = (check) => (value, place) => {
    if (!Array.isArray(value)) throw new TypeError(`${place} is no list`);
    value.forEach((entry, index) => check(entry, `${place}[${index}]`));
  };
  /** @type {(required: Record<string, Check>, optional?: Record<string, Check>) => Check} */
  const object = (required, optional = {}) => (value, place) => {
    if (value === null || typeof value !== "object") throw new TypeError(`${place} is no object`);
    for (const key of Object.keys(required)) {
      if (value[key] === undefined) throw new TypeError(`${place}.${key} is missing`);
    }
    for (const [key, entry] of Object.entries(value)) {
      const check = required[key] ?? optional[key];
      if (!check) throw new TypeError(`${place}.${key} is unknown`);
      if (entry !== undefined) check(entry, `${place}.${key}`);
    }
  };

  const text = a("string");
  const flag = a("boolean");
  const number = a("number");
  const call = a("function");
  /** @type {Check} */
  const filled = (value, place) => {
    text(value, place);
    if (!value) throw new TypeError(`${place} is empty`);
  };
  /** @type {Check} */
  const anything = () => {};
  const action = object({ icon: text, onClick: call });

  /** @type {Record<keyof Required<ChatKitOptions>, Check>} */
  const OPTIONS = {
    api: object({ url: filled, domainKey: filled }, { fetch: call, uploadStrategy: anything }),
    locale: filled,
    theme: either(
      oneOf("light", "dark"),
      object({}, {
        colorScheme: oneOf("light", "dark"),
        radius: oneOf("pill", "round", "soft", "sharp"),
        density: oneOf("compact", "normal", "spacious"),
        typography: object({}, {
          baseSize: oneOf(14, 15, 16, 17, 18),
          fontFamily: text,
          fontFamilyMono: text,
          fontSources: list(object({ family: text, src: text }, {
            weight: anything, style: text, display: text, unicodeRange: text,
          })),
        }),
        color: object({}, {
          accent: object({ primary: text, level: oneOf(0, 1, 2, 3) }),
          grayscale: object({ hue: number, tint: number }, { shade: number }),
          surface: object({ background: text, foreground: text }),
        }),
      }),
    ),
    frameTitle: text,
    initialThread: either(oneOf(null), text),
    onClientTool: call,
    header: object({}, {
      enabled: flag,
      title: object({}, { enabled: flag, text }),
      leftAction: action,
      rightAction: action,
    }),
    history: object({}, { enabled: flag, showDelete: flag, showRename: flag }),
    startScreen: object({}, {
      greeting: text,
      prompts: list(object({ label: text, prompt: either(text, list(anything)) }, { icon: text })),
    }),
    threadItemActions: object({}, { feedback: flag, retry: flag }),
    composer: object({}, {
      placeholder: text,
      attachments: object({ enabled: flag }, { maxSize: anything, maxCount: number, accept: anything }),
      tools: list(object({ id: text, label: text, icon: text }, {
        shortLabel: text, placeholderOverride: text, pinned: flag, persistent: flag,
      })),
      models: list(object({ id: text, label: text }, {
        description: text, disabled: flag, default: flag,
      })),
      dictation: object({ enabled: flag }),
    }),
    disclaimer: object({ text }, { highContrast: flag }),
    entities: object({}, {
      onTagSearch: call, showComposerMenu: flag, onClick: call, onRequestPreview: call,
    }),
    commands: object({ enabled: flag }, { onSearch: call, onSelect: call }),
    widgets: object({}, { onAction: call }),
    thread: object({}, { autoScroll: flag }),
  };
  const { api, ...optional } = OPTIONS;
  const checkOptions = object({ api }, optional);

  /** @implements {OpenAIChatKit} */
  class StandIn extends HTMLElement {
    /** @type {ChatKitOptions | null} */
    options = null;
    /** @type {Json | null} the open thread, without its items */
    thread = null;
    /** @type {Json[]} */
    items = [];
    /** @type {Json[] | null} the threads of the open history, null while it is closed */
    history = null;
    /** @type {Json | null} the last error or notice of a stream */
    notice = null;
    /** @type {string | null} */
    toolId = null;
    /** @type {string | undefined} */
    modelId;
    /** @type {AbortController | null} the answer that streams */
    answering = null;
    isLoading = false;
    /** Counts what was opened. */
    opening = 0;
    canStop = true;
    draft = "";
    /** @type {Json[]} the files that the next message takes along */
    files = [];
    root = this.attachShadow({ mode: "open" });

    /** @type {HTMLIFrameElement | null} */
    frame = null;
    /** The real element's frame draws everything, so nothing is drawn before its first message. */
    hasSpoken = false;

    /** @param {ChatKitOptions} options */
    setOptions(options) {
      checkOptions(options, "options");
      const sent = sendable(options, "options");
      const missing = Object.keys(this.options ?? {}).find((name) => !(name in options));
      if (missing) throw new TypeError(`options.${missing} is missing: nothing is merged`);
      const isFirst = this.options === null;
      this.options = options;
      this.modelId ??= options.composer?.models?.find((model) => model.default)?.id;
      this.draw();
      if (isFirst) this.start(sent);
      else this.command("setOptions", sent);
    }

    async focusComposer() {
      this.assertIdle();
      this.composer().focus();
    }

    /** @param {string | null} threadId */
    async setThreadId(threadId) {
      this.assertIdle();
      await this.open(threadId);
    }

    /** @type {OpenAIChatKit["sendUserMessage"]} */
    async sendUserMessage({ text, content, reply, attachments, newThread, toolChoice, model }) {
      this.assertIdle();
      if (newThread) await this.open(null);
      this.answer(this.message(text, content, { toolChoice, model, reply, attachments }));
    }

    /** @type {OpenAIChatKit["sendCustomAction"]} */
    async sendCustomAction(action, itemId) {
      this.assertIdle();
      const params = { thread_id: this.thread?.id, item_id: itemId, action };
      await this.stream("threads.custom_action", params);
    }

    /** @type {OpenAIChatKit["setComposerValue"]} */
    async setComposerValue({ text, content, selectedToolId, selectedModelId }) {
      this.assertIdle();
      if (text !== undefined || content) this.draft = text ?? plain(content);
      if (selectedToolId !== undefined) this.selectTool(selectedToolId);
      if (selectedModelId !== undefined) this.modelId = selectedModelId;
      this.draw();
    }

    async showHistory() {
      this.assertIdle();
      const page = await this.ask("threads.list", { limit: 20, order: "desc" });
      this.history = page.data;
      this.fire("chatkit.history.open");
      this.draw();
    }

    async hideHistory() {
      this.assertIdle();
      this.closeHistory();
    }

    async fetchUpdates() {
      this.assertIdle();
      if (this.thread) await this.load(this.thread.id);
      this.draw();
    }

    assertIdle() {
      if (this.isLoading) throw new Error("a thread is loading");
      if (this.answering) throw new Error("an answer is streaming");
    }

    // --- Threads ---------------------------------------------------------------------------------

    /** @param {unknown} options */
    start(options) {
      const frame = document.createElement("iframe");
      frame.title = this.options?.frameTitle ?? "Chat";
      frame.name = "chatkit";
      frame.className = "ck-iframe";
      frame.hidden = true; // the real element shows the chat in it
      frame.src = `${FRAME.href}#${encodeURIComponent(JSON.stringify({ options }))}`;
      frame.addEventListener("load", () => this.fire("chatkit.ready"), { once: true });
      const begin = async (/** @type {MessageEvent} */ { data, origin, source }) => {
        const isOurs = origin === FRAME.origin && source === frame.contentWindow;
        if (!isOurs || !data.__oaiChatKit) return;
        removeEventListener("message", begin);
        this.hasSpoken = true;
        this.draw();
        const thread = this.options?.initialThread;
        if (thread) await this.open(thread);
      };
      addEventListener("message", begin);
      this.root.append(frame);
      this.frame = frame;
    }

    /**
     * @param {string} command
     * @param {unknown} data
     */
    command(command, data) {
      const message = { __oaiChatKit: true, type: "command", nonce: crypto.randomUUID(), command, data };
      this.frame?.contentWindow?.postMessage(message, FRAME.origin);
    }

    /** @param {string | null} threadId */
    async open(threadId) {
      this.notice = null;
      const opening = (this.opening += 1);
      this.isLoading = threadId !== null;
      if (threadId === null) {
        this.thread = null;
        this.items = [];
      } else {
        this.draw();
        this.fire("chatkit.thread.load.start", { threadId });
        try {
          await this.load(threadId);
        } finally {
          if (opening === this.opening) {
            this.isLoading = false;
            this.draw();
          }
        }
        if (opening !== this.opening) return;
        this.fire("chatkit.thread.load.end", { threadId });
      }
      this.fire("chatkit.thread.change", { threadId });
      this.closeHistory();
    }

    /** @param {string} threadId */
    async load(threadId) {
      const opening = this.opening;
      const { items, ...thread } = await this.ask("threads.get_by_id", { thread_id: threadId });
      if (opening !== this.opening) return; // another was opened meanwhile
      this.thread = thread;
      this.items = items.data;
    }

    closeHistory() {
      if (this.history) this.fire("chatkit.history.close");
      this.history = null;
      this.draw();
    }

    /**
     * @param {string} threadId
     * @param {string} title
     */
    async rename(threadId, title) {
      await this.ask("threads.update", { thread_id: threadId, title });
      await this.showHistory();
    }

    /** @param {string} threadId */
    async erase(threadId) {
      await this.ask("threads.delete", { thread_id: threadId });
      if (this.thread?.id === threadId) await this.open(null);
      await this.showHistory();
    }

    // --- Answers ---------------------------------------------------------------------------------

    /**
     * @param {string | undefined} text
     * @param {UserMessageContent[] | undefined} content
     * @param {{ toolChoice?: { id: string }, model?: string, reply?: string, attachments?: { id: string }[] }} options
     */
    message(text, content, { toolChoice, model, reply, attachments = [] } = {}) {
      return {
        content: content ?? [{ type: "input_text", text: text ?? "" }],
        attachments: attachments.map((attachment) => attachment.id),
        quoted_text: reply,
        inference_options: { tool_choice: toolChoice, model },
      };
    }

    submit() {
      const toolChoice = this.toolId ? { id: this.toolId } : undefined;
      const attachments = /** @type {{ id: string }[]} */ (this.files);
      const choice = { toolChoice, model: this.modelId, attachments };
      const message = this.message(this.draft, undefined, choice);
      this.draft = "";
      this.files = [];
      this.selectTool(null); // a choice is for one message, unless the tool is persistent
      this.answer(message);
    }

    /** @param {Iterable<File>} files */
    async attach(files) {
      for (const file of files) this.files.push(await this.upload(file));
      this.draw();
    }

    /**
     * @param {File} file
     * @returns {Promise<Json>} the attachment
     */
    async upload(file) {
      const { api } = /** @type {any} */ (this.options);
      if (api.uploadStrategy.type === "direct") {
        const body = new FormData();
        body.append("file", file);
        return this.request(api.uploadStrategy.uploadUrl, { method: "POST", body }, "attachments.create");
      }
      const about = { name: file.name, size: file.size, mime_type: file.type };
      const { upload_descriptor, ...attachment } = await this.ask("attachments.create", about);
      const { url, method, headers } = upload_descriptor;
      await this.request(url, { method, headers, body: file }, "attachments.create");
      return attachment;
    }

    /** Records half a second with the microphone, and puts the transcription into the composer. */
    async dictate() {
      const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
      const recorder = new MediaRecorder(microphone, { mimeType: "audio/webm" });
      /** @type {Promise<Blob>} */
      const recorded = new Promise((resolve) => {
        recorder.addEventListener("dataavailable", ({ data }) => resolve(data));
      });
      recorder.start();
      setTimeout(() => recorder.stop(), 500);
      const bytes = new Uint8Array(await (await recorded).arrayBuffer());
      microphone.getTracks().forEach((track) => track.stop());
      const audio_base64 = btoa(String.fromCharCode(...bytes));
      const { text } = await this.ask("input.transcribe", { audio_base64, mime_type: "audio/webm" });
      this.draft += text;
      this.draw();
    }

    /** @param {Json} input */
    answer(input) {
      return this.thread
        ? this.stream("threads.add_user_message", { thread_id: this.thread.id, input })
        : this.stream("threads.create", { input });
    }

    /** @param {string} itemId the answer, or the message it answers */
    async retry(itemId) {
      const place = this.items.findIndex((item) => item.id === itemId);
      const question = this.items.slice(0, place + 1).findLast((i) => i.type === "user_message");
      if (!question || !this.thread) return;
      this.items = this.items.slice(0, this.items.indexOf(question) + 1);
      const params = { thread_id: this.thread.id, item_id: question.id };
      await this.stream("threads.retry_after_item", params);
    }

    /**
     * @param {string} itemId
     * @param {"positive" | "negative"} kind
     */
    async rate(itemId, kind) {
      await this.ask("items.feedback", { thread_id: this.thread?.id, item_ids: [itemId], kind });
      this.fire("chatkit.log", { name: "feedback", data: { kind } });
    }

    /**
     * @param {string} type
     * @param {Json} params
     */
    async stream(type, params) {
      const answering = new AbortController();
      this.answering = answering;
      this.canStop = true;
      this.notice = null;
      this.draw();
      let hasBegun = false;
      let repeats = 0;
      const { fetchEventSource } = await TRANSPORT;
      try {
        await fetchEventSource(this.api.url, {
          ...this.post(type, params),
          signal: answering.signal,
          fetch: (/** @type {string} */ url, /** @type {RequestInit} */ init) => this.api.fetch(url, init),
          onopen: async (/** @type {Response} */ response) => {
            const { ok, headers, status } = response;
            if (ok && headers.get("Content-Type")?.startsWith("text/event-stream")) {
              repeats = 0;
              return;
            }
            const error = new Error(`${type}: ${status}`);
            throw status >= 400 && status < 500 ? error : Object.assign(error, { isRepeated: true });
          },
          onerror: (/** @type {Error & { isRepeated?: boolean }} */ error) => {
            if (!error.isRepeated || repeats >= MAX_REPEATS) throw error;
            repeats += 1;
            return Math.min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** repeats) * (0.5 + Math.random() / 2);
          },
          onmessage: (/** @type {{ data: string }} */ { data }) => {
            const event = JSON.parse(data);
            if (!hasBegun) this.fire("chatkit.response.start");
            hasBegun = true;
            this.apply(event);
            this.draw();
          },
        });
      } catch (error) {
        this.fail(error, "StreamError");
      } finally {
        this.answering = null;
        this.draw();
        if (hasBegun) this.fire("chatkit.response.end");
      }
      await this.runClientTool();
    }

    /** A call that waits for its result is the last thing in an answer. */
    async runClientTool() {
      const pending = this.items.at(-1);
      if (pending?.type !== "client_tool_call" || pending.status !== "pending") return;
      const { name, arguments: params } = pending;
      const result = await this.options?.onClientTool?.({ name, params });
      pending.status = "completed";
      const thread_id = this.thread?.id;
      await this.stream("threads.add_client_tool_output", { thread_id, result });
    }

    /** @param {Json} event */
    apply(event) {
      const { type, item, thread } = event;
      if (type === "thread.created" || type === "thread.updated") {
        const isNew = this.thread?.id !== thread.id;
        const { items, ...metadata } = thread;
        this.thread = metadata;
        if (isNew) this.fire("chatkit.thread.change", { threadId: thread.id });
      } else if (["thread.item.added", "thread.item.done", "thread.item.replaced"].includes(type)) {
        const place = this.items.findIndex((known) => known.id === item.id);
        if (place < 0) this.items.push(item);
        else this.items[place] = item;
      } else if (type === "thread.item.updated") {
        update(this.items.find((known) => known.id === event.item_id), event.update);
      } else if (type === "thread.item.removed") {
        this.items = this.items.filter((known) => known.id !== event.item_id);
      } else if (type === "client_effect") {
        this.fire("chatkit.effect", { name: event.name, data: event.data });
      } else if (type === "stream_options") {
        this.canStop = event.stream_options.allow_cancel;
      } else if (type === "error" || type === "notice") {
        this.notice = event;
        if (type === "error") this.fire("chatkit.log", { name: "stream.error", data: { code: event.code } });
      } else if (type !== "progress_update") {
        throw new Error(`an event of an unknown type: ${type}`);
      }
    }

    // --- Requests --------------------------------------------------------------------------------

    /** @returns {any} */
    get api() {
      return this.options?.api;
    }

    /**
     * @param {string} type
     * @param {Json} params
     */
    post(type, params) {
      const locale = this.options?.locale ?? navigator.language;
      return {
        method: "POST",
        headers: { "Content-Type": "application/json", "Accept-Language": locale },
        body: JSON.stringify({ type, params }),
      };
    }

    /**
     * @param {string} type
     * @param {Json} params
     */
    ask(type, params) {
      return this.request(this.api.url, this.post(type, params), type);
    }

    /**
     * @param {string} url
     * @param {RequestInit} init
     * @param {string} type
     * @returns {Promise<Json>} an empty object if the response is not JSON, such as that of a file store
     */
    async request(url, init, type) {
      try {
        const response = await this.api.fetch(url, init);
        const body = await response.json().catch(() => ({}));
        if (!response.ok) throw new Error(body.message || response.statusText);
        return body;
      } catch (error) {
        this.fail(error, REPORTED[type]);
        throw error;
      }
    }

    /**
     * @param {unknown} cause
     * @param {string} [name] of the error that is reported
     */
    fail(cause, name) {
      const { message } = /** @type {Error} */ (cause);
      this.notice = { type: "error", message: "Something went wrong.", allow_retry: true };
      this.draw();
      if (name) this.fire("chatkit.error", { error: Object.assign(new Error(message, { cause }), { name }) });
    }

    /**
     * @template {keyof ChatKitEvents} K
     * @param {K} type
     * @param {ChatKitEvents[K]["detail"]} [detail]
     */
    fire(type, detail) {
      this.dispatchEvent(new CustomEvent(type, { detail }));
    }

    /** @param {string | null} toolId */
    selectTool(toolId) {
      if (this.toolId === toolId) return;
      this.toolId = toolId;
      this.fire("chatkit.tool.change", { toolId });
    }

    // --- The view ------------------------------------------------------------------------

    composer() {
      return /** @type {HTMLTextAreaElement} */ (this.root.querySelector("textarea"));
    }

    draw() {
      if (!this.hasSpoken) return;
      const options = /** @type {ChatKitOptions} */ (this.options);
      const hadFocus = this.root.activeElement?.localName === "textarea";
      const theme = /** @type {any} */ (options.theme);
      this.dataset.scheme = theme.colorScheme;
      const view = node("div", { className: "view", lang: options.locale ?? "" },
        node("p", { className: "badge" }, "Test stand-in, not OpenAI’s ChatKit"),
        options.header?.enabled && this.header(options),
        this.history ? this.historyList(options) : this.threadView(options),
      );
      // The frame is not moved, because it would load again.
      this.root.querySelectorAll(".view, style").forEach((old) => old.remove());
      this.root.prepend(node("style", {}, styleOf(theme)), view);
      if (hadFocus) this.composer()?.focus();
    }

    /** @param {ChatKitOptions} options */
    header({ header, history }) {
      const title = header?.title?.text ?? this.thread?.title ?? "";
      const { leftAction, rightAction } = header ?? {};
      return node("div", { className: "header" },
        leftAction && button(leftAction.icon, leftAction.onClick),
        node("h2", {}, title),
        history?.enabled && button("History", () =>
          this.history ? this.hideHistory() : this.showHistory(), this.answering),
        button("New chat", () => this.open(null), this.answering),
        rightAction && button(rightAction.icon, rightAction.onClick),
      );
    }

    /** @param {ChatKitOptions} options */
    historyList({ history }) {
      const rows = this.history?.map((thread) => {
        const title = node("input", { value: thread.title ?? "", ariaLabel: "Title" });
        return node("li", { dataset: { thread: thread.id } },
          button(thread.title ?? "Untitled", () => this.open(thread.id)),
          history?.showRename && title,
          history?.showRename && button("Rename", () => this.rename(thread.id, title.value)),
          history?.showDelete && button("Delete", () => this.erase(thread.id)),
        );
      });
      return node("ul", { className: "history", ariaLabel: "History" }, ...(rows ?? []));
    }

    /** @param {ChatKitOptions} options */
    threadView(options) {
      return node("div", { className: "thread" },
        this.isLoading && node("p", {}, "Loading…"),
        !this.thread && !this.answering && this.startScreen(options),
        node("ol", { className: "items" }, ...this.items.map((item) => this.item(item, options))),
        this.notice && this.noticeLine(this.notice),
        this.composerForm(options),
        options.disclaimer && node("p", { className: "disclaimer" }, options.disclaimer.text),
      );
    }

    /** @param {ChatKitOptions} options */
    startScreen({ startScreen }) {
      const prompts = startScreen?.prompts ?? [];
      return node("div", { className: "start" },
        node("h3", {}, startScreen?.greeting ?? ""),
        ...prompts.map(({ label, prompt }) =>
          button(label, () => this.answer(
            typeof prompt === "string" ? this.message(prompt, undefined) : this.message("", prompt),
          ))),
      );
    }

    /**
     * @param {Json} item
     * @param {ChatKitOptions} options
     */
    item(item, { threadItemActions }) {
      const line = node("li", { dataset: { type: item.type, item: item.id } });
      if (item.type === "workflow") {
        const { tasks, expanded, summary } = item.workflow;
        const lines = tasks.map((/** @type {Json} */ task) =>
          node("li", { dataset: { status: task.status_indicator } }, task.title ?? task.type));
        const title = summary?.title ?? (summary?.duration !== undefined ? `${summary.duration} s` : "…");
        line.append(node("details", { open: expanded }, node("summary", {}, title), node("ul", {}, ...lines)));
      } else if (item.type === "widget") {
        line.append(this.widget(item.widget, item));
      } else {
        line.append(...this.words(item));
      }
      if (item.type === "assistant_message" && !this.answering) {
        if (threadItemActions?.feedback) {
          line.append(
            button("Good answer", () => this.rate(item.id, "positive")),
            button("Bad answer", () => this.rate(item.id, "negative")),
          );
        }
        if (threadItemActions?.retry) line.append(button("Try again", () => this.retry(item.id)));
      }
      return line;
    }

    /** @param {Json} item */
    words(item) {
      if (item.type === "client_tool_call") return [`${item.name}: ${item.status}`];
      if (item.type === "task") return [item.task.title ?? item.task.type];
      const content = Array.isArray(item.content) ? item.content : [];
      const attachments = item.attachments ?? [];
      const words = content.map((/** @type {Json} */ part) => node("p", {}, ...this.withDeeplinks(part.text)));
      const files = attachments.map(fileView);
      const sources = content.flatMap((/** @type {Json} */ part) => part.annotations ?? []);
      const marks = sources.map((/** @type {Json} */ mark) => node("cite", {}, mark.source?.title ?? ""));
      return [...words, ...files, ...marks];
    }

    /** @param {string} words */
    withDeeplinks(words) {
      return words.split(/(\[[^\]]*\]\(chatkit-link:\/\/[^)]*\))/).map((part) => {
        const link = /^\[([^\]]*)\]\((chatkit-link:\/\/[^)]*)\)$/.exec(part);
        if (!link) return part;
        const url = new URL(link[2].replace("chatkit-link:", "https:"));
        const data = Object.fromEntries(url.searchParams);
        return button(link[1], () => this.fire("chatkit.deeplink", { name: url.host, data }));
      });
    }

    /**
     * @param {Json} part
     * @param {Json} item
     * @returns {HTMLElement}
     */
    widget(part, item) {
      const children = [part.children ?? []].flat();
      const words = part.value ?? (part.type === "Button" ? "" : part.label) ?? "";
      const action = part.onClickAction ?? part.onSubmitAction;
      const choices = [part.confirm, part.cancel].filter(Boolean);
      return node("div", { className: "widget", dataset: { component: part.type } },
        words,
        part.status && node("em", {}, part.status.text),
        part.type === "Chart" && node("pre", {}, JSON.stringify(part.data)),
        ...children.map((/** @type {Json} */ child) => this.widget(child, item)),
        ...choices.map((/** @type {Json} */ choice) =>
          button(choice.label, () => this.act(choice.action, item))),
        action && button(part.label ?? part.type, () => this.act(action, item)),
      );
    }

    /**
     * @param {any} action
     * @param {any} item
     */
    async act(action, item) {
      const { type, payload, handler, streaming } = action;
      if (handler === "client") return this.options?.widgets?.onAction?.(action, item);
      if (streaming !== false) return this.sendCustomAction({ type, payload }, item.id);
      const params = { thread_id: this.thread?.id, item_id: item.id, action: { type, payload } };
      const { updated_item } = await this.ask("threads.sync_custom_action", params);
      const place = this.items.findIndex((known) => known.id === item.id);
      if (updated_item) this.items[place] = updated_item;
      this.draw();
    }

    /** @param {Json} notice */
    noticeLine({ type, message, title, allow_retry }) {
      const last = this.items.at(-1);
      return node("div", { className: "notice", role: "alert", dataset: { type } },
        title ?? "", message ?? "Something went wrong.",
        allow_retry && last && button("Retry", () => this.retry(last.id), this.answering),
      );
    }

    /** @param {ChatKitOptions} options */
    composerForm({ composer }) {
      const tool = composer?.tools?.find(({ id }) => id === this.toolId);
      const placeholder = tool?.placeholderOverride ?? composer?.placeholder ?? "";
      const area = node("textarea", { placeholder, ariaLabel: "Message", value: this.draft });
      area.addEventListener("input", () => (this.draft = area.value));
      const picker = node("input", { type: "file", multiple: true, ariaLabel: "Attach" });
      picker.addEventListener("change", () => this.attach(picker.files ?? []).catch(() => {}));
      const form = node("form", { className: "composer" },
        area,
        composer?.attachments?.enabled && picker,
        ...this.files.map(fileView),
        composer?.dictation?.enabled && button("Dictate", () => this.dictate()),
        composer?.tools?.length && select("Tool", this.toolId ?? "", composer.tools, "No tool", (id) => {
          this.selectTool(id || null);
          this.draw();
        }),
        composer?.models?.length && select("Model", this.modelId ?? "", composer.models, null, (id) => {
          this.modelId = id;
        }),
        this.answering
          ? button("Stop", () => this.answering?.abort(), !this.canStop)
          : node("button", { type: "submit" }, "Send"),
      );
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (this.draft.trim()) this.submit();
      });
      return form;
    }
  }

  /**
   * @param {Json | undefined} item
   * @param {Json} change
   */
  function update(item, change) {
    if (!item) throw new Error(`an update of an unknown item: ${change.type}`);
    const content = item.content?.[change.content_index];
    switch (change.type) {
      case "assistant_message.content_part.added":
      case "assistant_message.content_part.done":
        item.content[change.content_index] = change.content;
        break;
      case "assistant_message.content_part.text_delta":
        content.text += change.delta;
        break;
      case "assistant_message.content_part.annotation_added":
        content.annotations[change.annotation_index] = change.annotation;
        break;
      case "workflow.task.added":
      case "workflow.task.updated":
        item.workflow.tasks[change.task_index] = change.task;
        break;
      case "widget.root.updated":
        item.widget = change.widget;
        break;
      case "widget.component.updated":
        Object.assign(component(item.widget, change.component_id), change.component);
        break;
      case "widget.streaming_text.value_delta":
        component(item.widget, change.component_id).value += change.delta;
        break;
      case "generated_image.updated":
        item.image = change.image;
        break;
      default:
        throw new Error(`an update of an unknown type: ${change.type}`);
    }
  }

  /**
   * @param {Json} root
   * @param {string} id
   * @returns {Json}
   */
  function component(root, id) {
    if (root.id === id) return root;
    for (const child of [root.children ?? []].flat()) {
      const found = component(child, id);
      if (found.id === id) return found;
    }
    return {};
  }

  /**
   * The options for the frame as JSON: functions are replaced with a name, everything else must be plain
   * data.
   *
   * @param {any} value
   * @param {string} place
   * @returns {unknown}
   */
  function sendable(value, place) {
    if (typeof value === "function") return "[ChatKitMethod]";
    if (Array.isArray(value)) return value.map((entry, index) => sendable(entry, `${place}[${index}]`));
    if (value === null || ["undefined", "string", "boolean"].includes(typeof value)) return value;
    if (Number.isFinite(value)) return value;
    if (Object.getPrototypeOf(value) !== Object.prototype) throw new TypeError(`${place} is no plain data`);
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([key, entry]) => [key, sendable(entry, `${place}.${key}`)]));
  }

  /** @param {Json} file */
  function fileView({ name, preview_url }) {
    return node("p", { className: "file" }, preview_url && node("img", { src: preview_url, alt: name }), name);
  }

  /** @param {UserMessageContent[] | undefined} content */
  function plain(content) {
    return (content ?? []).map((part) => part.text).join("");
  }

  /** @param {Json} theme */
  function styleOf({ color = {}, typography = {}, colorScheme }) {
    const { background = "canvas", foreground = "canvastext" } = color.surface ?? {};
    return `
      :host { color-scheme: ${colorScheme}; overflow: auto; }
      .view { box-sizing: border-box; min-height: 100%; padding: 12px; color: ${foreground};
        background: ${background}; font: ${typography.baseSize ?? 16}px/1.4 ${typography.fontFamily ?? "serif"}; }
      .badge { margin: 0 0 8px; padding: 2px 8px; border: 2px dashed; font: bold 12px monospace; }
      .header { display: flex; gap: 8px; align-items: center; }
      .header h2 { flex: 1; margin: 0; font-size: 1em; }
      .items { padding-left: 20px; }
      .composer { display: flex; gap: 8px; }
      textarea { flex: 1; font: inherit; }`;
  }

  /**
   * @template {keyof HTMLElementTagNameMap} K
   * @param {K} name
   * @param {Json} properties
   * @param {(Node | string | false | null | undefined | 0)[]} children
   * @returns {HTMLElementTagNameMap[K]}
   */
  function node(name, { dataset = {}, ...properties }, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    Object.assign(made.dataset, dataset);
    made.append(...children.filter((child) => child !== false && child != null && child !== 0));
    return made;
  }

  /**
   * @param {string} label
   * @param {() => unknown} onClick
   * @param {unknown} [isDisabled]
   */
  function button(label, onClick, isDisabled) {
    const made = node("button", { type: "button", disabled: Boolean(isDisabled) }, label);
    made.addEventListener("click", async () => {
      try {
        await onClick();
      } catch {
        // An event has already reported the failed request.
      }
    });
    return made;
  }

  /**
   * @param {string} label
   * @param {string} value
   * @param {{ id: string, label: string }[]} choices
   * @param {string | null} none
   * @param {(id: string) => void} onChange
   */
  function select(label, value, choices, none, onChange) {
    const made = node("select", { ariaLabel: label },
      none !== null && node("option", { value: "" }, none),
      ...choices.map((choice) => node("option", { value: choice.id }, choice.label)),
    );
    made.value = value;
    made.addEventListener("change", () => onChange(made.value));
    return made;
  }

  customElements.define("openai-chatkit", StandIn);
}
