/** @import { Say } from "../../types" */

/**
 * Translations of the page's texts into the languages of `engine/text/locales.py`. The keys are the
 * English texts of index.html and the modules; `{}` is replaced with a value.
 *
 * @type {Record<string, Record<string, string>>}
 */
export const TEXTS = {
  de: {
    "Sign out": "Abmelden",
    "Dark colours": "Dunkle Farben",
    "About this demo": "Über diese Demo",
    "Demo": "Demo",
    "A built-in model answers, not a real one. Set {} in {} and restart to change that.":
      "Es antwortet ein eingebautes Modell, kein echtes. Setzen Sie {} in {} und starten Sie neu, um das zu ändern.",
    "Dismiss": "Schließen",
    "Opening the chat…": "Der Chat wird geöffnet …",
    "The chat could not be loaded": "Der Chat konnte nicht geladen werden",
    "You may be offline, or a content blocker or firewall may be in the way.":
      "Vielleicht sind Sie offline, oder ein Inhaltsblocker oder eine Firewall ist im Weg.",
    "The browser could not load {}.": "Der Browser konnte {} nicht laden.",
    "Allow {} in content blockers, proxies and firewalls.":
      "Erlauben Sie {} in Inhaltsblockern, Proxys und Firewalls.",
    "If this site sends a Content-Security-Policy, it must list {} under script-src and frame-src.":
      "Wenn diese Seite eine Content-Security-Policy sendet, muss sie {} unter script-src und frame-src nennen.",
    "The chat could not start": "Der Chat konnte nicht starten",
    "Its program arrived but did not run. A newer browser may help.":
      "Sein Programm kam an, lief aber nicht. Ein neuerer Browser hilft vielleicht.",
    "{} loaded, but never defined {}.": "{} wurde geladen, hat aber {} nie definiert.",
    "The browser's console names the error. A proxy may have answered with another file.":
      "Die Konsole des Browsers nennt den Fehler. Vielleicht hat ein Proxy mit einer anderen Datei geantwortet.",
    "The chat did not open": "Der Chat hat sich nicht geöffnet",
    "A content blocker, a firewall or one of this page's own headers may stop its frame.":
      "Ein Inhaltsblocker, eine Firewall oder ein Header dieser Seite hält vielleicht seinen Rahmen auf.",
    "Most often, {} has not been allowed to show it.": "Meistens darf {} ihn noch nicht anzeigen.",
    "Add {} to the domain allow-list of your OpenAI organization.":
      "Nehmen Sie {} in die Liste der erlaubten Domains Ihrer OpenAI-Organisation auf.",
    "Set CHATKIT_DOMAIN_KEY to the key shown there and restart the server.":
      "Setzen Sie CHATKIT_DOMAIN_KEY auf den dort gezeigten Schlüssel und starten Sie den Server neu.",
    "Allow frames from {} (frame-src), and do not send Cross-Origin-Embedder-Policy: require-corp.":
      "Erlauben Sie Rahmen von {} (frame-src), und senden Sie kein Cross-Origin-Embedder-Policy: require-corp.",
    "Open this page as {}: there OpenAI asks for no domain key.":
      "Öffnen Sie diese Seite als {}: dort verlangt OpenAI keinen Domain-Schlüssel.",
    "The server does not answer": "Der Server antwortet nicht",
    "Your conversations are safe. Please try again in a moment.":
      "Ihre Unterhaltungen sind sicher. Bitte versuchen Sie es gleich noch einmal.",
    "Check that the server runs, and that a proxy in front of it finds it.":
      "Prüfen Sie, ob der Server läuft und ein Proxy davor ihn findet.",
    "On its machine, {} says what is missing.": "Auf seiner Maschine sagt {}, was fehlt.",
    "The database does not answer": "Die Datenbank antwortet nicht",
    "The server runs, but cannot reach its database: see DATABASE_URL.":
      "Der Server läuft, erreicht aber seine Datenbank nicht: siehe DATABASE_URL.",
    "You are not signed in": "Sie sind nicht angemeldet",
    "Please sign in again, then come back to this page.":
      "Bitte melden Sie sich noch einmal an und kommen Sie dann auf diese Seite zurück.",
    "The server refused this user's credentials (401), also after asking for new ones.":
      "Der Server hat die Zugangsdaten abgelehnt (401), auch nachdem er um neue gebeten hatte.",
    "With tokens: window.chatAuth.getToken must be defined before the chat's first request.":
      "Mit Tokens: window.chatAuth.getToken muss vor der ersten Anfrage des Chats da sein.",
    "With cookies: they must be allowed for this site.":
      "Mit Cookies: sie müssen für diese Seite erlaubt sein.",
    "For whoever runs this site": "Für alle, die diese Seite betreiben",
    "Try again": "Noch einmal versuchen",
    "Open the domain allow-list": "Liste der erlaubten Domains öffnen",
    "Please sign in": "Bitte melden Sie sich an",
    "A window opens for that, and closes when you are through.":
      "Dafür öffnet sich ein Fenster, das sich danach von selbst schließt.",
    "Sign in": "Anmelden",
  },
  es: {
    "Sign out": "Cerrar sesión",
    "Dark colours": "Colores oscuros",
    "About this demo": "Sobre esta demostración",
    "Demo": "Demo",
    "A built-in model answers, not a real one. Set {} in {} and restart to change that.":
      "Responde un modelo incorporado, no uno real. Ponga {} en {} y reinicie para cambiarlo.",
    "Dismiss": "Cerrar",
    "Opening the chat…": "Abriendo el chat…",
    "The chat could not be loaded": "No se ha podido cargar el chat",
    "You may be offline, or a content blocker or firewall may be in the way.":
      "Puede que no tenga conexión, o que un bloqueador de contenido o un cortafuegos lo impida.",
    "The browser could not load {}.": "El navegador no ha podido cargar {}.",
    "Allow {} in content blockers, proxies and firewalls.":
      "Permita {} en bloqueadores de contenido, proxies y cortafuegos.",
    "If this site sends a Content-Security-Policy, it must list {} under script-src and frame-src.":
      "Si este sitio envía una Content-Security-Policy, debe incluir {} en script-src y frame-src.",
    "The chat could not start": "El chat no ha podido arrancar",
    "Its program arrived but did not run. A newer browser may help.":
      "Su programa llegó, pero no se ejecutó. Un navegador más reciente puede ayudar.",
    "{} loaded, but never defined {}.": "{} se cargó, pero nunca definió {}.",
    "The browser's console names the error. A proxy may have answered with another file.":
      "La consola del navegador nombra el error. Puede que un proxy haya respondido con otro archivo.",
    "The chat did not open": "El chat no se ha abierto",
    "A content blocker, a firewall or one of this page's own headers may stop its frame.":
      "Un bloqueador de contenido, un cortafuegos o una cabecera de esta página puede impedir su marco.",
    "Most often, {} has not been allowed to show it.":
      "Lo más frecuente es que {} no tenga permiso para mostrarlo.",
    "Add {} to the domain allow-list of your OpenAI organization.":
      "Añada {} a la lista de dominios permitidos de su organización de OpenAI.",
    "Set CHATKIT_DOMAIN_KEY to the key shown there and restart the server.":
      "Ponga en CHATKIT_DOMAIN_KEY la clave que se muestra allí y reinicie el servidor.",
    "Allow frames from {} (frame-src), and do not send Cross-Origin-Embedder-Policy: require-corp.":
      "Permita marcos de {} (frame-src) y no envíe Cross-Origin-Embedder-Policy: require-corp.",
    "Open this page as {}: there OpenAI asks for no domain key.":
      "Abra esta página como {}: allí OpenAI no pide ninguna clave de dominio.",
    "The server does not answer": "El servidor no responde",
    "Your conversations are safe. Please try again in a moment.":
      "Sus conversaciones están a salvo. Inténtelo de nuevo en un momento.",
    "Check that the server runs, and that a proxy in front of it finds it.":
      "Compruebe que el servidor funciona y que un proxy delante de él lo encuentra.",
    "On its machine, {} says what is missing.": "En su máquina, {} dice qué falta.",
    "The database does not answer": "La base de datos no responde",
    "The server runs, but cannot reach its database: see DATABASE_URL.":
      "El servidor funciona, pero no llega a su base de datos: vea DATABASE_URL.",
    "You are not signed in": "No ha iniciado sesión",
    "Please sign in again, then come back to this page.":
      "Inicie sesión de nuevo y vuelva a esta página.",
    "The server refused this user's credentials (401), also after asking for new ones.":
      "El servidor ha rechazado las credenciales (401), incluso tras pedir otras nuevas.",
    "With tokens: window.chatAuth.getToken must be defined before the chat's first request.":
      "Con tokens: window.chatAuth.getToken debe existir antes de la primera petición del chat.",
    "With cookies: they must be allowed for this site.":
      "Con cookies: deben estar permitidas para este sitio.",
    "For whoever runs this site": "Para quien gestiona este sitio",
    "Try again": "Intentar de nuevo",
    "Open the domain allow-list": "Abrir la lista de dominios permitidos",
    "Please sign in": "Inicie sesión",
    "A window opens for that, and closes when you are through.":
      "Se abre una ventana para ello, y se cierra cuando haya terminado.",
    "Sign in": "Iniciar sesión",
  },
  fr: {
    "Sign out": "Se déconnecter",
    "Dark colours": "Couleurs sombres",
    "About this demo": "À propos de cette démo",
    "Demo": "Démo",
    "A built-in model answers, not a real one. Set {} in {} and restart to change that.":
      "C’est un modèle intégré qui répond, pas un vrai. Définissez {} dans {} et redémarrez pour changer cela.",
    "Dismiss": "Fermer",
    "Opening the chat…": "Ouverture du chat…",
    "The chat could not be loaded": "Le chat n’a pas pu être chargé",
    "You may be offline, or a content blocker or firewall may be in the way.":
      "Vous êtes peut-être hors ligne, ou un bloqueur de contenu ou un pare-feu s’y oppose.",
    "The browser could not load {}.": "Le navigateur n’a pas pu charger {}.",
    "Allow {} in content blockers, proxies and firewalls.":
      "Autorisez {} dans les bloqueurs de contenu, les proxys et les pare-feux.",
    "If this site sends a Content-Security-Policy, it must list {} under script-src and frame-src.":
      "Si ce site envoie une Content-Security-Policy, elle doit citer {} dans script-src et frame-src.",
    "The chat could not start": "Le chat n’a pas pu démarrer",
    "Its program arrived but did not run. A newer browser may help.":
      "Son programme est arrivé mais n’a pas tourné. Un navigateur plus récent peut aider.",
    "{} loaded, but never defined {}.": "{} a été chargé, mais n’a jamais défini {}.",
    "The browser's console names the error. A proxy may have answered with another file.":
      "La console du navigateur nomme l’erreur. Un proxy a peut-être répondu avec un autre fichier.",
    "The chat did not open": "Le chat ne s’est pas ouvert",
    "A content blocker, a firewall or one of this page's own headers may stop its frame.":
      "Un bloqueur de contenu, un pare-feu ou un en-tête de cette page bloque peut-être son cadre.",
    "Most often, {} has not been allowed to show it.":
      "Le plus souvent, {} n’est pas autorisé à l’afficher.",
    "Add {} to the domain allow-list of your OpenAI organization.":
      "Ajoutez {} à la liste des domaines autorisés de votre organisation OpenAI.",
    "Set CHATKIT_DOMAIN_KEY to the key shown there and restart the server.":
      "Donnez à CHATKIT_DOMAIN_KEY la clé qui y est affichée et redémarrez le serveur.",
    "Allow frames from {} (frame-src), and do not send Cross-Origin-Embedder-Policy: require-corp.":
      "Autorisez les cadres de {} (frame-src) et n’envoyez pas Cross-Origin-Embedder-Policy: require-corp.",
    "Open this page as {}: there OpenAI asks for no domain key.":
      "Ouvrez cette page à l’adresse {} : OpenAI n’y demande pas de clé de domaine.",
    "The server does not answer": "Le serveur ne répond pas",
    "Your conversations are safe. Please try again in a moment.":
      "Vos conversations sont en sécurité. Veuillez réessayer dans un moment.",
    "Check that the server runs, and that a proxy in front of it finds it.":
      "Vérifiez que le serveur tourne et qu’un proxy placé devant le trouve.",
    "On its machine, {} says what is missing.": "Sur sa machine, {} dit ce qui manque.",
    "The database does not answer": "La base de données ne répond pas",
    "The server runs, but cannot reach its database: see DATABASE_URL.":
      "Le serveur tourne, mais n’atteint pas sa base de données : voir DATABASE_URL.",
    "You are not signed in": "Vous n’êtes pas connecté",
    "Please sign in again, then come back to this page.":
      "Veuillez vous reconnecter, puis revenir à cette page.",
    "The server refused this user's credentials (401), also after asking for new ones.":
      "Le serveur a refusé les identifiants (401), même après en avoir demandé de nouveaux.",
    "With tokens: window.chatAuth.getToken must be defined before the chat's first request.":
      "Avec des jetons : window.chatAuth.getToken doit exister avant la première requête du chat.",
    "With cookies: they must be allowed for this site.":
      "Avec des cookies : ils doivent être autorisés pour ce site.",
    "For whoever runs this site": "Pour l’exploitant de ce site",
    "Try again": "Réessayer",
    "Open the domain allow-list": "Ouvrir la liste des domaines autorisés",
    "Please sign in": "Veuillez vous connecter",
    "A window opens for that, and closes when you are through.":
      "Une fenêtre s’ouvre pour cela, et se ferme une fois que c’est fait.",
    "Sign in": "Se connecter",
  },
  ja: {
    "Sign out": "ログアウト",
    "Dark colours": "ダークカラー",
    "About this demo": "このデモについて",
    "Demo": "デモ",
    "A built-in model answers, not a real one. Set {} in {} and restart to change that.":
      "応答しているのは内蔵モデルで、本物ではありません。変更するには、{}を{}に設定して再起動してください。",
    "Dismiss": "閉じる",
    "Opening the chat…": "チャットを開いています…",
    "The chat could not be loaded": "チャットを読み込めませんでした",
    "You may be offline, or a content blocker or firewall may be in the way.":
      "オフラインか、コンテンツブロッカーまたはファイアウォールが妨げている可能性があります。",
    "The browser could not load {}.": "ブラウザーは{}を読み込めませんでした。",
    "Allow {} in content blockers, proxies and firewalls.": "コンテンツブロッカー、プロキシ、ファイアウォールで{}を許可してください。",
    "If this site sends a Content-Security-Policy, it must list {} under script-src and frame-src.":
      "このサイトが Content-Security-Policy を送る場合、script-src と frame-src に{}が必要です。",
    "The chat could not start": "チャットを開始できませんでした",
    "Its program arrived but did not run. A newer browser may help.":
      "プログラムは届きましたが動作しませんでした。新しいブラウザーなら動くかもしれません。",
    "{} loaded, but never defined {}.": "{}は読み込まれましたが、{}が定義されませんでした。",
    "The browser's console names the error. A proxy may have answered with another file.":
      "エラーはブラウザーのコンソールに表示されます。プロキシが別のファイルを返した可能性があります。",
    "The chat did not open": "チャットが開きませんでした",
    "A content blocker, a firewall or one of this page's own headers may stop its frame.":
      "コンテンツブロッカー、ファイアウォール、またはこのページのヘッダーがフレームを止めている可能性があります。",
    "Most often, {} has not been allowed to show it.": "多くの場合、{}に表示の許可がありません。",
    "Add {} to the domain allow-list of your OpenAI organization.":
      "OpenAI の組織のドメイン許可リストに{}を追加してください。",
    "Set CHATKIT_DOMAIN_KEY to the key shown there and restart the server.":
      "CHATKIT_DOMAIN_KEY にそこに表示されるキーを設定し、サーバーを再起動してください。",
    "Allow frames from {} (frame-src), and do not send Cross-Origin-Embedder-Policy: require-corp.":
      "{}のフレームを許可し (frame-src)、Cross-Origin-Embedder-Policy: require-corp を送らないでください。",
    "Open this page as {}: there OpenAI asks for no domain key.":
      "このページを{}で開いてください。そこでは OpenAI はドメインキーを求めません。",
    "The server does not answer": "サーバーが応答しません",
    "Your conversations are safe. Please try again in a moment.": "会話は保存されています。少し待ってからもう一度お試しください。",
    "Check that the server runs, and that a proxy in front of it finds it.":
      "サーバーが動いていること、前段のプロキシから届くことを確認してください。",
    "On its machine, {} says what is missing.": "そのマシンで {} を実行すると、何が足りないかわかります。",
    "The database does not answer": "データベースが応答しません",
    "The server runs, but cannot reach its database: see DATABASE_URL.":
      "サーバーは動いていますが、データベースに接続できません。DATABASE_URL を確認してください。",
    "You are not signed in": "ログインしていません",
    "Please sign in again, then come back to this page.": "もう一度ログインしてから、このページに戻ってください。",
    "The server refused this user's credentials (401), also after asking for new ones.":
      "新しい認証情報を求めた後も、サーバーが拒否しました (401)。",
    "With tokens: window.chatAuth.getToken must be defined before the chat's first request.":
      "トークンを使う場合: チャットの最初のリクエストより前に window.chatAuth.getToken が必要です。",
    "With cookies: they must be allowed for this site.": "Cookie を使う場合: このサイトで許可されている必要があります。",
    "For whoever runs this site": "サイトの運営者向け",
    "Try again": "もう一度試す",
    "Open the domain allow-list": "ドメイン許可リストを開く",
    "Please sign in": "サインインしてください",
    "A window opens for that, and closes when you are through.":
      "そのためのウィンドウが開き、終わると閉じます。",
    "Sign in": "サインイン",
  },
};

/**
 * A function that translates a text into the language of `locale`; without a translation it is English.
 *
 * @param {string} locale
 * @returns {Say}
 */
export function voice(locale) {
  const known = TEXTS[languageOf(locale)] ?? {};
  return (text, ...values) => (known[text] ?? text).replaceAll("{}", () => values.shift() ?? "{}");
}

/**
 * The page's language for a locale; English if it is not supported.
 *
 * @param {string} locale
 */
export function languageOf(locale) {
  const language = locale.split("-")[0].toLowerCase();
  return Object.hasOwn(TEXTS, language) ? language : "en";
}

/**
 * Translates index.html: the text of elements marked `data-text`, in which child elements keep their
 * order, and every `aria-label`.
 *
 * @param {HTMLElement} root the <html> element
 * @param {string} locale
 */
export function translatePage(root, locale) {
  const say = voice(locale);
  root.lang = languageOf(locale) === "en" ? root.lang : languageOf(locale);
  for (const element of root.querySelectorAll("[data-text]")) translate(element, say);
  for (const element of root.querySelectorAll("[aria-label]")) {
    element.ariaLabel = say(element.ariaLabel ?? "");
  }
}

/**
 * @param {Element} element
 * @param {Say} say
 */
function translate(element, say) {
  const inside = [...element.children];
  const text = [...element.childNodes].map((node) => (node instanceof Element ? "{}" : node.textContent));
  const parts = say(text.join("").trim()).split("{}");
  element.replaceChildren(...parts.flatMap((part, place) => [part, inside[place] ?? ""]));
}
