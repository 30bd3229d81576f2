"""What the pages around a sign-in say, in the other languages; see `engine/text/locales.py`."""

from engine.text.locales import Translations

TRANSLATIONS: Translations = {
    "de": {
        "Nobody can sign in yet": "Noch kann sich niemand anmelden",
        "Register this application at your OpenID provider, then set OIDC_DISCOVERY_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET in .env and restart. README.md says more. The redirect address is: {}": "Registrieren Sie diese Anwendung bei Ihrem OpenID-Anbieter, setzen Sie dann OIDC_DISCOVERY_URL, OIDC_CLIENT_ID und OIDC_CLIENT_SECRET in .env und starten Sie neu. README.md sagt mehr. Die Rücksprungadresse ist: {}",
        "See you again.": "Bis bald.",
        "Sign in": "Anmelden",
        "Sign-in is not available": "Die Anmeldung ist nicht möglich",
        "That did not work. Please try again.": "Das hat nicht geklappt. Bitte versuchen Sie es noch einmal.",
        "The sign-in service does not answer. Please try again in a moment.": "Der Anmeldedienst antwortet nicht. Bitte versuchen Sie es gleich noch einmal.",
        "You are not signed in": "Sie sind nicht angemeldet",
        "You are not signed in, or no longer.": "Sie sind nicht oder nicht mehr angemeldet.",
        "You are signed out": "Sie sind abgemeldet",
    },
    "es": {
        "Nobody can sign in yet": "Todavía nadie puede iniciar sesión",
        "Register this application at your OpenID provider, then set OIDC_DISCOVERY_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET in .env and restart. README.md says more. The redirect address is: {}": "Registre esta aplicación en su proveedor OpenID, ponga OIDC_DISCOVERY_URL, OIDC_CLIENT_ID y OIDC_CLIENT_SECRET en .env y reinicie. README.md explica más. La dirección de retorno es: {}",
        "See you again.": "Hasta pronto.",
        "Sign in": "Iniciar sesión",
        "Sign-in is not available": "No se puede iniciar sesión",
        "That did not work. Please try again.": "No ha funcionado. Inténtelo de nuevo.",
        "The sign-in service does not answer. Please try again in a moment.": "El servicio de inicio de sesión no responde. Inténtelo de nuevo en un momento.",
        "You are not signed in": "No ha iniciado sesión",
        "You are not signed in, or no longer.": "No ha iniciado sesión, o ya no.",
        "You are signed out": "Ha cerrado la sesión",
    },
    "fr": {
        "Nobody can sign in yet": "Personne ne peut encore se connecter",
        "Register this application at your OpenID provider, then set OIDC_DISCOVERY_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET in .env and restart. README.md says more. The redirect address is: {}": "Enregistrez cette application auprès de votre fournisseur OpenID, définissez OIDC_DISCOVERY_URL, OIDC_CLIENT_ID et OIDC_CLIENT_SECRET dans .env, puis redémarrez. README.md en dit plus. L’adresse de retour est : {}",
        "See you again.": "À bientôt.",
        "Sign in": "Se connecter",
        "Sign-in is not available": "La connexion n’est pas disponible",
        "That did not work. Please try again.": "Cela n’a pas fonctionné. Veuillez réessayer.",
        "The sign-in service does not answer. Please try again in a moment.": "Le service de connexion ne répond pas. Veuillez réessayer dans un moment.",
        "You are not signed in": "Vous n’êtes pas connecté",
        "You are not signed in, or no longer.": "Vous n’êtes pas connecté, ou plus.",
        "You are signed out": "Vous êtes déconnecté",
    },
    "ja": {
        "Nobody can sign in yet": "まだ誰もログインできません",
        "Register this application at your OpenID provider, then set OIDC_DISCOVERY_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET in .env and restart. README.md says more. The redirect address is: {}": "OpenID プロバイダーにこのアプリケーションを登録し、.env に OIDC_DISCOVERY_URL、OIDC_CLIENT_ID、OIDC_CLIENT_SECRET を設定して再起動してください。詳しくは README.md をご覧ください。リダイレクト先: {}",
        "See you again.": "またのご利用をお待ちしています。",
        "Sign in": "ログイン",
        "Sign-in is not available": "現在ログインできません",
        "That did not work. Please try again.": "うまくいきませんでした。もう一度お試しください。",
        "The sign-in service does not answer. Please try again in a moment.": "ログインサービスが応答しません。少し待ってからもう一度お試しください。",
        "You are not signed in": "ログインしていません",
        "You are not signed in, or no longer.": "ログインしていないか、ログアウトされました。",
        "You are signed out": "ログアウトしました",
    },
}
