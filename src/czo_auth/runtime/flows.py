"""The flows of one deployment, made once from its services."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from czo_auth.core.api_keys.usage import KeyUsage
from czo_auth.core.flows.accounts.change_email import ChangeEmail
from czo_auth.core.flows.accounts.delete_user import DeleteUser
from czo_auth.core.flows.accounts.export import ExportUser
from czo_auth.core.flows.administration.accounts import AdministerAccounts
from czo_auth.core.flows.administration.audit_retention import AuditRetention
from czo_auth.core.flows.administration.dead_letters import DeadLetters
from czo_auth.core.flows.administration.sinks import ManageSinks
from czo_auth.core.flows.administration.users import Administration
from czo_auth.core.flows.api_keys.create import CreateApiKeys
from czo_auth.core.flows.api_keys.expiry import KeyExpiry
from czo_auth.core.flows.api_keys.manage import ManageApiKeys
from czo_auth.core.flows.api_keys.quotas import SpendQuotas
from czo_auth.core.flows.api_keys.report_leak import ReportLeak
from czo_auth.core.flows.api_keys.usage import ReadKeyUsage
from czo_auth.core.flows.authentication.authenticate import Authenticate
from czo_auth.core.flows.authentication.exchange import ExchangeToken
from czo_auth.core.flows.authentication.introspect import Introspect
from czo_auth.core.flows.authentication.verify_api_key import VerifyApiKey
from czo_auth.core.flows.delayed_mails import DelayedMails
from czo_auth.core.flows.devices.authorize import AuthorizeDevice
from czo_auth.core.flows.idempotency import IdempotentRequests
from czo_auth.core.flows.organizations.invitations import Invitations
from czo_auth.core.flows.organizations.manage import ManageOrganizations
from czo_auth.core.flows.organizations.members import ManageMembers
from czo_auth.core.flows.organizations.operate import OperateOrganizations
from czo_auth.core.flows.organizations.received_invitations import ReceivedInvitations
from czo_auth.core.flows.organizations.two_factor import OrganizationFactors
from czo_auth.core.flows.passkeys.manage import ManagePasskeys
from czo_auth.core.flows.passkeys.register import RegisterPasskey
from czo_auth.core.flows.service_accounts.key_changes import ChangeServiceAccountKeys
from czo_auth.core.flows.service_accounts.keys import ServiceAccountKeys
from czo_auth.core.flows.service_accounts.manage import ManageServiceAccounts
from czo_auth.core.flows.service_accounts.organization_keys import OrganizationKeys
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.refresh import Refresh
from czo_auth.core.flows.sessions.signing_keys import SigningKeys
from czo_auth.core.flows.sign_in.passkey import PasskeySignIn
from czo_auth.core.flows.sign_in.passkey_step import PasskeySecondStep
from czo_auth.core.flows.sign_in.password import SignIn
from czo_auth.core.flows.sign_in.password_reset import Passwords
from czo_auth.core.flows.sign_in.second_factor import SecondFactor
from czo_auth.core.flows.sign_in.secure_account import SecureAccount
from czo_auth.core.flows.sign_in.sessions import ManageSessions
from czo_auth.core.flows.sign_in.sign_up import SignUp
from czo_auth.core.flows.sign_in.verify_email import VerifyEmail
from czo_auth.core.flows.two_factor.enroll import EnableTwoFactor
from czo_auth.core.flows.two_factor.manage import ManageTwoFactor
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.flows.two_factor.remind import RemindHolders, RemindRenewals
from czo_auth.core.flows.two_factor.reset import Recovery
from czo_auth.core.flows.two_factor.trusted_devices import TrustedDevices
from czo_auth.core.flows.webhooks.manage import ManageWebhooks
from czo_auth.core.flows.webhooks.operate import OperateWebhooks
from czo_auth.core.sessions.last_used import SessionUses
from czo_auth.runtime.housekeeping import Housekeeping
from czo_auth.settings import Settings


class Flows:
    """What a deployment can do, by name; REST, GraphQL, the pages and the command line call these."""

    def _make_flows(
        self,
        services: Services,
        settings: Settings,
        *,
        now: Callable[[], datetime],
        key_usage: KeyUsage,
        session_uses: SessionUses,
    ) -> None:
        self.signing_keys = SigningKeys(services)
        self.recovery = Recovery(services)
        self.key_expiry = KeyExpiry(services)
        self.audit_retention = AuditRetention(services)
        self.reauthentication = Reauthentication(services)
        self.create_api_keys = CreateApiKeys(services)
        self.manage_api_keys = ManageApiKeys(services, self.reauthentication)
        self.key_usage = ReadKeyUsage(services)
        self._quotas = SpendQuotas(services.transactions)
        self.devices = AuthorizeDevice(services, self.create_api_keys, self.reauthentication)
        self._housekeeping = Housekeeping(
            services.transactions,
            key_usage=key_usage,
            session_uses=session_uses,
            signing_keys=self.signing_keys,
            recovery=self.recovery,
            key_expiry=self.key_expiry,
            audit_retention=self.audit_retention,
            devices=self.devices,
            now=now,
        )
        self.authenticate = Authenticate(
            services,
            key_usage,
            self.signing_keys,
            max_remembered=settings.remembered_credentials,
            session_uses=session_uses,
            quotas=self._quotas,
        )
        self.sign_up = SignUp(services)
        self.sign_in = SignIn(services)
        self.second_factor = SecondFactor(services)
        self.enable_two_factor = EnableTwoFactor(services)
        self.manage_two_factor = ManageTwoFactor(services)
        self.register_passkey = RegisterPasskey(services)
        self.passkey_sign_in = PasskeySignIn(services)
        self.passkey_second_step = PasskeySecondStep(services)
        self.manage_passkeys = ManagePasskeys(services)
        self.trusted_devices = TrustedDevices(services)
        self.refresh = Refresh(services, session_uses=session_uses)
        self.manage_sessions = ManageSessions(services)
        self.passwords = Passwords(services)
        self.verify_email = VerifyEmail(services)
        self.secure_account = SecureAccount(services)
        self.delayed_mails = DelayedMails(services)
        self.verify_api_key = VerifyApiKey(services, self.authenticate)
        self.exchange_token = ExchangeToken(services, self.authenticate, audiences=settings.token_audiences)
        self.introspect = Introspect(services, self.authenticate, audiences=settings.token_audiences)
        self.report_leak = ReportLeak(services)
        self.idempotency = IdempotentRequests(services)
        self.manage_organizations = ManageOrganizations(services)
        self.manage_members = ManageMembers(services)
        self.organization_factors = OrganizationFactors(services)
        self.remind_holders = RemindHolders(services)
        self.remind_renewals = RemindRenewals(services)
        self.manage_service_accounts = ManageServiceAccounts(services)
        self.service_account_keys = ServiceAccountKeys(services)
        self.change_service_account_keys = ChangeServiceAccountKeys(services)
        self.organization_keys = OrganizationKeys(services)
        self.operate_organizations = OperateOrganizations(services)
        self.invitations = Invitations(services)
        self.received_invitations = ReceivedInvitations(services)
        self.administration = Administration(services)
        self.dead_letters = DeadLetters(services)
        self.manage_sinks = ManageSinks(services)
        self.webhooks = ManageWebhooks(services)
        self.operate_webhooks = OperateWebhooks(services)
        self.administer_accounts = AdministerAccounts(services)
        self.change_email = ChangeEmail(services)
        self.delete_user = DeleteUser(services)
        self.export_user = ExportUser(services)
