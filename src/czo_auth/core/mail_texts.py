"""What each mail says, in English and French."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from czo_auth.core.api_keys.key import LeakResponse
    from czo_auth.core.mail import Ended, KeyEnding, Language, MailKind

NO_NAME: dict[Language, str] = {"en": "no name", "fr": "sans nom"}
NO_PLACE: dict[Language, str] = {"en": "not said", "fr": "non précisé"}
KEY_ENDINGS: dict[tuple[KeyEnding, Language], str] = {
    ("revoked", "en"): "revoked",
    ("revoked", "fr"): "révoquée",
    ("rotated", "en"): "rotated",
    ("rotated", "fr"): "renouvelée",
    ("transferred", "en"): "transferred to a service account",
    ("transferred", "fr"): "transférée à un compte de service",
}

LEAK_RESPONSES: dict[tuple[LeakResponse, Language], str] = {
    (
        "revoke",
        "en",
    ): "It was revoked at once and cannot be used again. Create a new key for whatever used it.",
    (
        "revoke",
        "fr",
    ): "Elle a été révoquée aussitôt et ne peut plus servir. Créez une nouvelle clé pour la remplacer.",
    ("quarantine", "en"): (
        "It was switched off. Rotate or revoke it; switch it on again only if you know that nobody else has it."
    ),
    ("quarantine", "fr"): (
        "Elle a été désactivée. Renouvelez-la ou révoquez-la ; ne la réactivez que si personne d'autre ne l'a."
    ),
}
ENDED: dict[tuple[Ended, Language], str] = {
    ("sessions", "en"): "all sessions",
    ("sessions", "fr"): "toutes les sessions",
    ("api_keys", "en"): "all API keys",
    ("api_keys", "fr"): "toutes les clés API",
    ("trusted_devices", "en"): "all trusted devices",
    ("trusted_devices", "fr"): "tous les appareils de confiance",
    ("email_changes", "en"): "a change of address that was waiting",
    ("email_changes", "fr"): "un changement d'adresse en attente",
    ("second_factors", "en"): "two-factor authentication, which was switched off",
    ("second_factors", "fr"): "la double authentification, qui a été désactivée",
    ("factors_stay", "en"): (
        "only two-factor authentication stays on: if it is not yours, ask your administrator to reset it"
    ),
    ("factors_stay", "fr"): (
        "seule la double authentification reste activée : si ce n'est pas la vôtre, demandez à votre "
        "administrateur de la réinitialiser"
    ),
}
TEXTS: dict[tuple[MailKind, Language], tuple[str, str]] = {
    ("verification", "en"): (
        "Confirm your email address",
        """Somebody created an account with this email address on {at}, from the IP address {ip}, with this browser:
“{browser}”

If that was you, open this link and confirm the address. It works once, within {valid_for}:

{link}

If it was not you, open the same link and choose “This was not me”: the account is deleted.
""",
    ),
    ("verification", "fr"): (
        "Confirmez votre adresse e-mail",
        """Un compte a été créé avec cette adresse e-mail le {at}, depuis l'adresse IP {ip}, avec ce navigateur :
« {browser} »

Si c'est vous, ouvrez ce lien et confirmez l'adresse. Il ne fonctionne qu'une fois, pendant {valid_for} :

{link}

Si ce n'est pas vous, ouvrez le même lien et choisissez « Ce n'était pas moi » : le compte sera supprimé.
""",
    ),
    ("email_change", "en"): (
        "Confirm your new email address",
        """Somebody asked to use this email address for their account. If that was you, open this link and confirm:

{link}

It works once, within {valid_for}. Your other sessions will end.
If it was not you, open the same link and choose “This was not me”, or ignore this message: nothing changes.
""",
    ),
    ("email_change", "fr"): (
        "Confirmez votre nouvelle adresse e-mail",
        """Quelqu'un souhaite utiliser cette adresse e-mail pour son compte. Si c'est vous, ouvrez ce lien et
confirmez :

{link}

Il ne fonctionne qu'une fois, pendant {valid_for}. Vos autres sessions prendront fin.
Si ce n'est pas vous, ouvrez le même lien et choisissez « Ce n'était pas moi », ou ignorez ce message : rien ne
changera.
""",
    ),
    ("email_change_notice", "en"): (
        "The email address of your account is about to change",
        """On {at} somebody asked to change the email address of your account. It changes once the new address is
confirmed.

If that was you, there is nothing to do. If it was not you, open this link: it takes the change back and ends all
sessions. It works for 7 days, also after the change. Reset your password afterwards.

{link}
""",
    ),
    ("email_change_notice", "fr"): (
        "L'adresse e-mail de votre compte va changer",
        """Le {at}, quelqu'un a demandé à changer l'adresse e-mail de votre compte. Elle changera dès que la nouvelle
adresse aura été confirmée.

Si c'est vous, vous n'avez rien à faire. Si ce n'est pas vous, ouvrez ce lien : il annule le changement et met fin à
toutes les sessions. Il fonctionne pendant 7 jours, même après le changement. Réinitialisez ensuite votre mot de passe.

{link}
""",
    ),
    ("email_change_taken", "en"): (
        "Your email address was asked for by another account",
        """On {at} somebody asked to use this email address for another account. It already has an account, so nothing
was changed.

If that was you, sign in with this address, or choose another one for the other account.
""",
    ),
    ("email_change_taken", "fr"): (
        "Votre adresse e-mail a été demandée pour un autre compte",
        """Le {at}, quelqu'un a demandé à utiliser cette adresse e-mail pour un autre compte. Elle a déjà un compte :
rien n'a changé.

Si c'est vous, connectez-vous avec cette adresse, ou choisissez-en une autre pour l'autre compte.
""",
    ),
    ("email_change_taken_back", "en"): (
        "The email address of your account is as it was",
        """The change of the email address of your account was taken back on {at}, and all sessions were ended.

If you did not ask for the change, reset your password now, and review your API keys and second factors.
""",
    ),
    ("email_change_taken_back", "fr"): (
        "L'adresse e-mail de votre compte est rétablie",
        """Le changement d'adresse e-mail de votre compte a été annulé le {at}, et toutes les sessions ont pris fin.

Si vous n'aviez pas demandé ce changement, réinitialisez votre mot de passe dès maintenant, et vérifiez vos clés API
et votre double authentification.
""",
    ),
    ("account_created", "en"): (
        "An account was created for you",
        """An administrator created an account for you. Open this link to choose your password:

{link}

It works once, within {valid_for}. After that, choose “Forgot password?” on the sign-in page.
""",
    ),
    ("account_created", "fr"): (
        "Un compte a été créé pour vous",
        """Un administrateur a créé un compte pour vous. Ouvrez ce lien pour choisir votre mot de passe :

{link}

Il ne fonctionne qu'une fois, pendant {valid_for}. Ensuite, choisissez « Mot de passe oublié » sur la page de connexion.
""",
    ),
    ("account_deleted", "en"): (
        "Your account was deleted",
        """Your account was deleted on {at}, with everything that was kept about you. This is the last message to this
address.
""",
    ),
    ("account_deleted", "fr"): (
        "Votre compte a été supprimé",
        """Votre compte a été supprimé le {at}, avec tout ce qui était conservé à votre sujet. Ceci est le dernier
message envoyé à cette adresse.
""",
    ),
    ("account_exported", "en"): (
        "Your account data was exported",
        """An administrator exported everything that is kept about your account on {at}.

If you do not know why, contact your administrator.
""",
    ),
    ("account_exported", "fr"): (
        "Les données de votre compte ont été exportées",
        """Un administrateur a exporté le {at} tout ce qui est conservé au sujet de votre compte.

Si vous ne savez pas pourquoi, contactez votre administrateur.
""",
    ),
    ("address_proved", "en"): (
        "Your password was set, and your account is yours",
        """You set a new password on {at}, and confirmed this email address for the first time. Everything that was made
before it has ended, because it may have been somebody else's:

{ended}

If it was not you, contact your administrator.
""",
    ),
    ("address_proved", "fr"): (
        "Votre mot de passe est défini, et votre compte est à vous",
        """Vous avez défini un nouveau mot de passe le {at} et confirmé cette adresse e-mail pour la première
fois. Ce qui existait auparavant a pris fin, car cela pouvait appartenir à quelqu'un d'autre :

{ended}

Si ce n'était pas vous, contactez votre administrateur.
""",
    ),
    ("two_factor_enabled", "en"): (
        "An authenticator app was added",
        """An authenticator app was added to your account at {at}. Signing in now takes a code from it.

If this was not you, reset your password and ask an administrator for help.
""",
    ),
    ("two_factor_enabled", "fr"): (
        "Une application d'authentification a été ajoutée",
        """Une application d'authentification a été ajoutée à votre compte le {at}. Vous aurez besoin d'un code pour
vous connecter.

Si ce n'était pas vous, réinitialisez votre mot de passe et demandez de l'aide à un administrateur.
""",
    ),
    ("two_factor_disabled", "en"): (
        "Your authenticator app was removed",
        """The authenticator app of your account was removed at {at}. Your other sessions have ended.

If this was not you, reset your password and ask an administrator for help.
""",
    ),
    ("two_factor_disabled", "fr"): (
        "Votre application d'authentification a été retirée",
        """L'application d'authentification de votre compte a été retirée le {at}. Vos autres sessions sont terminées.

Si ce n'était pas vous, réinitialisez votre mot de passe et demandez de l'aide à un administrateur.
""",
    ),
    ("two_factor_due", "en"): (
        "Turn on two-factor authentication by {at}",
        """The organization “{organization}” requires two-factor authentication of its members. From {at} on you
cannot use it without a second factor.

Turn on two factors on the security page of your account before then. Your account and other organizations stay as
they are.
""",
    ),
    ("two_factor_due", "fr"): (
        "Activez l'authentification à deux facteurs avant le {at}",
        """L'organisation « {organization} » exige l'authentification à deux facteurs de ses membres. À partir du {at},
vous ne pourrez plus l'utiliser sans second facteur.

Activez l'authentification à deux facteurs sur la page de sécurité de votre compte d'ici là. Votre compte et vos
autres organisations restent inchangés.
""",
    ),
    ("two_factor_due_by_type", "en"): (
        "Turn on two-factor authentication by {at}",
        """Your account requires two-factor authentication. From {at} on you can do nothing with it, other than
turn two-factor authentication on.

Turn it on on the security page of your account before then.
""",
    ),
    ("two_factor_due_by_type", "fr"): (
        "Activez l'authentification à deux facteurs avant le {at}",
        """Votre compte exige l'authentification à deux facteurs. À partir du {at}, vous ne pourrez plus rien faire
d'autre que l'activer.

Activez-la sur la page de sécurité de votre compte d'ici là.
""",
    ),
    ("two_factor_exempt", "en"): (
        "Your time to turn on two-factor authentication changed",
        """An owner of the organization “{organization}” changed your exemption from two-factor authentication. It ends
at {at}.

Turn on two factors on the security page of your account before then.
""",
    ),
    ("two_factor_exempt", "fr"): (
        "Votre délai pour activer l'authentification à deux facteurs a changé",
        """Un propriétaire de l'organisation « {organization} » a modifié votre exemption de l'authentification à deux
facteurs. Elle prend fin le {at}.

Activez l'authentification à deux facteurs sur la page de sécurité de votre compte d'ici là.
""",
    ),
    ("passkey_added", "en"): (
        "A passkey was added",
        """A passkey (“{name}”) was added to your account at {at}. Anyone who has it can sign in with it.

If this was not you, remove it on the security page and reset your password.
""",
    ),
    ("passkey_added", "fr"): (
        "Une clé d'accès a été ajoutée",
        """Une clé d'accès (« {name} ») a été ajoutée à votre compte le {at}. Elle permet de se connecter.

Si ce n'était pas vous, retirez-la sur la page de sécurité et réinitialisez votre mot de passe.
""",
    ),
    ("passkey_removed", "en"): (
        "A passkey was removed",
        """A passkey (“{name}”) was removed from your account at {at}. It can no longer sign in.

If this was not you, reset your password and ask an administrator for help.
""",
    ),
    ("passkey_removed", "fr"): (
        "Une clé d'accès a été retirée",
        """Une clé d'accès (« {name} ») a été retirée de votre compte le {at}. Elle ne permet plus de se connecter.

Si ce n'était pas vous, réinitialisez votre mot de passe et demandez de l'aide à un administrateur.
""",
    ),
    ("password_reset", "en"): (
        "Reset your password",
        """Open this link to choose a new password:

{link}

It works once, within {valid_for}. All your sessions will end; two-factor authentication stays on.
If you did not ask for this, ignore this message: your password stays as it is.
""",
    ),
    ("password_reset", "fr"): (
        "Réinitialisez votre mot de passe",
        """Ouvrez ce lien pour choisir un nouveau mot de passe :

{link}

Il ne fonctionne qu'une fois, pendant {valid_for}. Toutes vos sessions prendront fin ; la double
authentification reste activée. Si vous n'avez rien demandé, ignorez ce message : votre mot de passe
ne change pas.
""",
    ),
    ("invitation", "en"): (
        "You are invited to “{organization}”",
        """“{inviter}” invites you to join the organization “{organization}”. Open this link to accept:

{link}

It works once, within {valid_for}, for this email address only. If you do not know them, ignore this message.
""",
    ),
    ("invitation", "fr"): (
        "Invitation à rejoindre « {organization} »",
        """« {inviter} » vous invite à rejoindre l'organisation « {organization} ». Ouvrez ce lien pour accepter :

{link}

Il ne fonctionne qu'une fois, pendant {valid_for}, et pour cette adresse e-mail seulement. Si cela ne vous
dit rien, ignorez ce message.
""",
    ),
    ("two_factor_reset", "en"): (
        "Two-factor authentication was switched off",
        """An administrator switched off two-factor authentication for your account on {at}, and ended your sessions.

Sign in and set it up again. If you did not ask for this, change your password and contact your administrator.
""",
    ),
    ("two_factor_reset", "fr"): (
        "La double authentification a été désactivée",
        """Un administrateur a désactivé la double authentification de votre compte le {at} et mis fin à vos sessions.

Connectez-vous et configurez-la de nouveau. Si vous n'avez rien demandé, changez votre mot de passe et
contactez votre administrateur.
""",
    ),
    ("two_factor_reset_asked", "en"): (
        "Two-factor authentication will be switched off",
        """On {at} an administrator asked to switch off two-factor authentication for your account.
It will happen on {due_at}.

If you did not ask for this, somebody may be trying to get into your account. Open this link to cancel:

{link}

Signing in with a code of your authenticator or a backup code cancels it too.
If you asked for this, there is nothing to do but wait.
""",
    ),
    ("two_factor_reset_asked", "fr"): (
        "La double authentification va être désactivée",
        """Le {at}, un administrateur a demandé la désactivation de la double authentification de votre compte.
Elle aura lieu le {due_at}.

Si vous n'avez rien demandé, quelqu'un cherche peut-être à entrer dans votre compte. Ouvrez ce lien pour annuler :

{link}

Se connecter avec un code de votre application ou un code de secours annule aussi la demande.
Si c'est vous qui l'avez demandé, il n'y a rien à faire qu'attendre.
""",
    ),
    ("two_factor_reset_cancelled", "en"): (
        "Two-factor authentication stays on",
        """The request of {asked_at} to switch off two-factor authentication for your account was
cancelled on {at}. Nothing was changed.

If you did not ask for it in the first place, change your password and contact your administrator.
""",
    ),
    ("two_factor_reset_cancelled", "fr"): (
        "La double authentification reste activée",
        """La demande du {asked_at} de désactiver la double authentification de votre compte a été
annulée le {at}. Rien n'a changé.

Si cette demande ne venait pas de vous, changez votre mot de passe et contactez votre administrateur.
""",
    ),
    ("password_changed", "en"): (
        "Your password was changed",
        """The password of your account was changed on {at}, and your other sessions were ended.

If it was not you, reset your password at once and contact your administrator.
""",
    ),
    ("password_changed", "fr"): (
        "Votre mot de passe a été modifié",
        """Le mot de passe de votre compte a été modifié le {at}, et vos autres sessions ont pris fin.

Si ce n'était pas vous, réinitialisez votre mot de passe sans attendre et contactez votre administrateur.
""",
    ),
    ("api_key_expiring", "en"): (
        "Your API key “{name}” expires soon",
        """This API key of yours expires soon:

{keys}

Rotate it, or make a new one, before then, so that whatever uses it goes on working.
""",
    ),
    ("api_key_expiring", "fr"): (
        "Votre clé API « {name} » expire bientôt",
        """Une de vos clés API expire bientôt :

{keys}

Renouvelez-la, ou créez-en une nouvelle, avant cette date pour que ce qui l'utilise continue de fonctionner.
""",
    ),
    ("api_keys_expiring", "en"): (
        "{count} of your API keys expire soon",
        """These API keys of yours expire soon:

{keys}

Rotate them, or make new ones, before then, so that whatever uses them goes on working.
""",
    ),
    ("api_keys_expiring", "fr"): (
        "{count} de vos clés API expirent bientôt",
        """Ces clés API expirent bientôt :

{keys}

Renouvelez-les, ou créez-en de nouvelles, avant ces dates pour que ce qui les utilise continue de fonctionner.
""",
    ),
    ("api_key_unused", "en"): (
        "Your unused API key “{name}” will be ended",
        """Nobody has used this API key of yours for a long time. It ends at the time beside it, or soon after:

{keys}

If it is still needed, use it once before then. If not, there is nothing to do.
""",
    ),
    ("api_key_unused", "fr"): (
        "Votre clé API inutilisée « {name} » va être désactivée",
        """Personne n'a utilisé cette clé API depuis longtemps. Elle prend fin à la date indiquée, ou peu après :

{keys}

Si elle est encore utile, utilisez-la une fois avant cette date. Sinon, vous n'avez rien à faire.
""",
    ),
    ("api_keys_unused", "en"): (
        "{count} of your unused API keys will be ended",
        """Nobody has used these API keys of yours for a long time. Each ends at the time beside it, or soon after:

{keys}

If one is still needed, use it once before then. If not, there is nothing to do.
""",
    ),
    ("api_keys_unused", "fr"): (
        "{count} de vos clés API inutilisées vont être désactivées",
        """Personne n'a utilisé ces clés API depuis longtemps. Chacune prend fin à la date indiquée, ou peu après :

{keys}

Si l'une d'elles est encore utile, utilisez-la une fois avant cette date. Sinon, vous n'avez rien à faire.
""",
    ),
    ("api_key_leaked", "en"): (
        "Your API key “{name}” has leaked",
        """Somebody who holds the whole of your API key “{name}” ({prefix}…) reported it on {at}.

{response}

Where it was seen, as the report says: {place}

Look through the audit log for what was done with the key, and take it out of the place where it was seen.
""",
    ),
    ("api_key_leaked", "fr"): (
        "Votre clé API « {name} » a fuité",
        """Quelqu'un qui détient votre clé API « {name} » ({prefix}…) entière l'a signalée le {at}.

{response}

Où elle a été vue, selon le signalement : {place}

Vérifiez dans le journal d'audit ce qui a été fait avec la clé, et retirez-la de l'endroit où elle a été vue.
""",
    ),
    ("api_key_ended", "en"): (
        "Your API key “{name}” was {what}",
        """Your API key “{name}” ({prefix}…) in the organization “{organization}” was {what}
by {by} on {at}.

If you do not know why, ask them: a program of yours may be using it.
""",
    ),
    ("api_key_ended", "fr"): (
        "Votre clé API « {name} » a été {what}",
        """Votre clé API « {name} » ({prefix}…) dans l'organisation « {organization} » a été {what}
par {by} le {at}.

Si vous ne savez pas pourquoi, demandez-le : un de vos programmes l'utilise peut-être.
""",
    ),
    ("service_account_key", "en"): (
        "An API key of “{organization}” was {what}",
        """The API key “{name}” ({prefix}…) of a service account of “{organization}” was {what} by {by} on {at}.

You get this mail because you own the organization.
""",
    ),
    ("service_account_key", "fr"): (
        "Une clé API de « {organization} » a été {what}",
        """La clé API « {name} » ({prefix}…) d'un compte de service de « {organization} » a été {what} par {by} le {at}.

Vous recevez ce message parce que vous êtes propriétaire de l'organisation.
""",
    ),
    ("api_keys_made_by", "en"): (
        "API keys of “{organization}” that {person} made",
        """{person} left “{organization}”, was banned, or has fewer rights there. These API keys of service accounts
live on, and {person} may have seen them when they were made ({count}):

{keys}

Rotate them here:
{link}
""",
    ),
    ("api_keys_made_by", "fr"): (
        "Clés API de « {organization} » créées par {person}",
        """{person} a quitté « {organization} », a été banni ou y a moins de droits. Ces clés API de comptes de service
restent valables, et {person} a pu les voir à leur création ({count}) :

{keys}

Renouvelez-les ici :
{link}
""",
    ),
    ("webhook_switched_off", "en"): (
        "A webhook endpoint was switched off",
        """No event could be delivered to your webhook endpoint at “{host}” since {since}.
It was switched off on {at}.

Once it works again, switch it on and ask for the events of that time: they are kept for 30 days.
""",
    ),
    ("webhook_switched_off", "fr"): (
        "Un point de terminaison webhook a été désactivé",
        """Depuis le {since}, aucun événement n'a pu être livré à votre point de terminaison webhook
« {host} ». Il a été désactivé le {at}.

Dès qu'il fonctionne de nouveau, réactivez-le et demandez les événements de cette période : ils sont
conservés 30 jours.
""",
    ),
}
