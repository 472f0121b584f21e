"""
Make a database with a Django package for second factors; run by the interpreter of an environment that has it.

    python django_project.py PACKAGE DATABASE GIVEN

GIVEN is JSON: ``registration``, a WebAuthn registration of a browser that the package's own reader takes apart, and
``secrets``. What the users know is printed as JSON.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

APPS = {
    "allauth": ["allauth", "allauth.account", "allauth.mfa"],
    "django_otp": ["django_otp", "django_otp.plugins.otp_totp", "django_otp.plugins.otp_static"],
    "django_mfa": ["django_mfa"],
    "mfa": ["mfa"],
}
package, database, text = sys.argv[1:4]
given: dict[str, Any] = json.loads(text)
more: dict[str, Any] = {}
if package == "allauth":
    more = {"MFA_SUPPORTED_TYPES": ["totp", "webauthn", "recovery_codes"]}
    if given.get("encrypted"):
        # The adapter of a project that encrypts; this one only turns the text around.
        more |= {"MFA_ADAPTER": "__main__.Adapter"}
if package == "django_mfa" and given.get("encrypted"):
    more = {"MFA_SECRET_ENCRYPTION_KEYS": ["a key of the project"]}
settings.configure(
    SECRET_KEY="a key of the project",
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        *APPS[package],
    ],
    PASSWORD_HASHERS=[
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        "django.contrib.auth.hashers.BCryptPasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    ROOT_URLCONF="__main__",
    MIDDLEWARE=["allauth.account.middleware.AccountMiddleware"] if package == "allauth" else [],
    **more,
)
urlpatterns: list[Any] = []
if package == "allauth":
    django.setup()
    from allauth.mfa.adapter import DefaultMFAAdapter

    class Adapter(DefaultMFAAdapter):
        def encrypt(self, text: str) -> str:
            return text[::-1]

        def decrypt(self, encrypted_text: str) -> str:
            return encrypted_text[::-1]
else:
    django.setup()
call_command("migrate", verbosity=0)

from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402

users = {}
for name, hasher in (
    ("uma", "argon2"),
    ("ben", "scrypt"),
    ("cat", "bcrypt"),
    ("dan", "pbkdf2_sha256"),
    ("eve", "md5"),
):
    users[name] = User.objects.create(
        username=name,
        email=f"{name}@example.com",
        first_name=name.title(),
        last_name="Shop",
        password=make_password(f"the old password of {name}", hasher=hasher),
    )
User.objects.filter(username="dan").update(is_active=False)
User.objects.create(username="nobody", email="")
knows: dict[str, Any] = {"id": users["ben"].pk}
short = base64.b32encode(b"ten  bytes").decode()

if package == "allauth":
    from allauth.account.models import EmailAddress
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
    from allauth.mfa.webauthn.internal.auth import WebAuthn

    for name in ("uma", "ben", "cat"):
        EmailAddress.objects.create(
            user=users[name], email=f"{name}@example.com", verified=name != "cat", primary=True
        )
    secret = generate_totp_secret()
    TOTP.activate(users["uma"], secret)
    RecoveryCodes.activate(users["uma"])
    TOTP.activate(users["cat"], short)
    knows["totp"] = base64.b32decode(secret).hex()
    assert WebAuthn.add(users["ben"], "Key", given["registration"]).authenticator_data.credential_data
elif package == "django_otp":
    from django_otp.plugins.otp_static.models import StaticDevice
    from django_otp.plugins.otp_totp.models import TOTPDevice

    device = TOTPDevice.objects.create(user=users["uma"], name="phone", confirmed=True)
    knows["totp"] = device.key
    StaticDevice.objects.create(user=users["uma"], name="codes").token_set.create(token="abcdefgh")
    TOTPDevice.objects.create(user=users["ben"], name="long", confirmed=True, digits=8)
    TOTPDevice.objects.create(user=users["cat"], name="short", confirmed=True, key=b"ten  bytes".hex())
    TOTPDevice.objects.create(user=users["dan"], name="never", confirmed=False)
elif package == "django_mfa":
    from django_mfa.adapters.totp import generate_secret
    from django_mfa.crypto import encrypt
    from django_mfa.handles import user_handle_for
    from django_mfa.models import Authenticator
    from fido2.webauthn import RegistrationResponse

    secret = generate_secret()
    Authenticator.objects.create(user=users["uma"], type="totp", data={"secret": encrypt(secret)})
    Authenticator.objects.create(user=users["cat"], type="totp", data={"secret": encrypt(short)})
    knows["totp"] = base64.b32decode(secret).hex()
    auth_data = RegistrationResponse.from_dict(given["registration"]).response.attestation_object.auth_data
    Authenticator.objects.create(
        user=users["ben"],
        type="webauthn",
        name="Key",
        data={
            "credential_id": auth_data.credential_data.credential_id.hex(),
            "credential_data": bytes(auth_data.credential_data).hex(),
            "sign_count": auth_data.counter,
            "resident": True,
            "transports": [],
        },
    )
    knows["handle"] = user_handle_for(users["ben"]).encode().hex()
else:
    import pyotp
    from fido2.utils import websafe_encode
    from fido2.webauthn import RegistrationResponse
    from mfa.models import User_Keys

    secret = pyotp.random_base32()
    User_Keys.objects.create(username="uma", key_type="TOTP", properties={"secret_key": secret})
    User_Keys.objects.create(username="cat", key_type="TOTP", properties={"secret_key": short})
    User_Keys.objects.create(
        username="dan", key_type="TOTP", enabled=False, properties={"secret_key": secret}
    )
    knows["totp"] = base64.b32decode(secret).hex()
    auth_data = RegistrationResponse.from_dict(given["registration"]).response.attestation_object.auth_data
    User_Keys.objects.create(
        username="ben",
        key_type="FIDO2",
        properties={"device": websafe_encode(auth_data.credential_data), "type": "none"},
    )
print(json.dumps(knows))
