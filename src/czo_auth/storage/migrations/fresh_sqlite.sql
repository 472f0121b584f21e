CREATE TABLE {prefix}version (
	version_num VARCHAR(32) NOT NULL, oldest_program VARCHAR(32), 
	CONSTRAINT {prefix}version_pkc PRIMARY KEY (version_num)
)
--
CREATE TABLE {prefix}users (
	id VARCHAR(36) NOT NULL, 
	email TEXT NOT NULL, 
	name TEXT NOT NULL, 
	image TEXT, 
	email_verified BOOLEAN NOT NULL, 
	password_hash TEXT, 
	actor_types TEXT NOT NULL, 
	credential_version INTEGER NOT NULL, 
	banned_at BIGINT, 
	ban_reason TEXT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, mailbox TEXT, passkeys_enabled_at BIGINT, made_by TEXT, fields JSON, external_id TEXT, actor_type_grants JSON, two_factor_reminded_due_at BIGINT, two_factor_reminded_days INTEGER, factors_kept_at BIGINT, language TEXT, secured_at BIGINT, 
	CONSTRAINT {prefix}users_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}users_email_uq UNIQUE (email)
)
--
CREATE TABLE {prefix}key_checks (
	kid TEXT NOT NULL, 
	check_value TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}key_checks_pk PRIMARY KEY (kid)
)
--
CREATE TABLE {prefix}sessions (
	id VARCHAR(36) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	actor_type TEXT NOT NULL, 
	organization_id VARCHAR(36), 
	aal INTEGER NOT NULL, 
	amr TEXT NOT NULL, 
	auth_time BIGINT NOT NULL, 
	factor_proved_at BIGINT, 
	remembered BOOLEAN NOT NULL, 
	ip TEXT, 
	user_agent TEXT, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	revoked_at BIGINT, 
	revoked_reason TEXT, lineage_id VARCHAR(36), last_used_at BIGINT, wrong_codes INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT {prefix}sessions_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}sessions_digest_uq UNIQUE (digest), 
	CONSTRAINT {prefix}sessions_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}refresh_tokens (
	id VARCHAR(36) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	session_id VARCHAR(36) NOT NULL, 
	parent_id VARCHAR(36), 
	created_at BIGINT NOT NULL, 
	replaced_at BIGINT, 
	CONSTRAINT {prefix}refresh_tokens_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}refresh_tokens_digest_uq UNIQUE (digest), 
	CONSTRAINT {prefix}refresh_tokens_parent_id_uq UNIQUE (parent_id), 
	CONSTRAINT {prefix}refresh_tokens_session_id_fk FOREIGN KEY(session_id) REFERENCES {prefix}sessions (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}signing_keys (
	kid TEXT NOT NULL, 
	sealed_private_key TEXT NOT NULL, 
	public_jwk JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	retired_at BIGINT, 
	expires_at BIGINT, 
	CONSTRAINT {prefix}signing_keys_pk PRIMARY KEY (kid)
)
--
CREATE TABLE {prefix}factors (
	id VARCHAR(36) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	sealed_secret TEXT NOT NULL, 
	last_step BIGINT NOT NULL, 
	enabled_at BIGINT NOT NULL, renew_by BIGINT, renewal_reminded_days INTEGER, 
	CONSTRAINT {prefix}factors_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}factors_user_id_uq UNIQUE (user_id), 
	CONSTRAINT {prefix}factors_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}enrolments (
	id VARCHAR(36) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	sealed_secret TEXT NOT NULL, 
	sealed_codes TEXT, 
	replaces BOOLEAN NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, lineage_id VARCHAR(36), 
	CONSTRAINT {prefix}enrolments_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}enrolments_user_id_uq UNIQUE (user_id), 
	CONSTRAINT {prefix}enrolments_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}backup_codes (
	id VARCHAR(80) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	set_id VARCHAR(36) NOT NULL, 
	selector TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	activated_at BIGINT, 
	used_at BIGINT, 
	CONSTRAINT {prefix}backup_codes_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}backup_codes_set_id_selector_uq UNIQUE (set_id, selector), 
	CONSTRAINT {prefix}backup_codes_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}attempts (
	user_id VARCHAR(36) NOT NULL, 
	failures INTEGER NOT NULL, 
	locked_until BIGINT, 
	stopped BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT {prefix}attempts_pk PRIMARY KEY (user_id), 
	CONSTRAINT {prefix}attempts_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}challenges (
	id VARCHAR(36) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	actor_type TEXT NOT NULL, 
	credential_version INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	remembered BOOLEAN NOT NULL, 
	auth_time BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	consumed_at BIGINT, renews VARCHAR(36), 
	CONSTRAINT {prefix}challenges_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}challenges_digest_uq UNIQUE (digest), 
	CONSTRAINT {prefix}challenges_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}trusted_devices (
	id VARCHAR(36) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	credential_version INTEGER NOT NULL, 
	user_agent TEXT, 
	ip TEXT, 
	created_at BIGINT NOT NULL, 
	last_used_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}trusted_devices_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}trusted_devices_digest_uq UNIQUE (digest), 
	CONSTRAINT {prefix}trusted_devices_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}organizations (
	id VARCHAR(36) NOT NULL, 
	name TEXT NOT NULL, 
	slug TEXT NOT NULL, 
	logo TEXT, 
	metadata JSON, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, api_key_max_days INTEGER, api_key_unused_days INTEGER, created_by VARCHAR(36), require_two_factor_from BIGINT, two_factor_grace_days INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT {prefix}organizations_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}organizations_slug_uq UNIQUE (slug)
)
--
CREATE TABLE {prefix}members (
	id VARCHAR(36) NOT NULL, 
	organization_id VARCHAR(36) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	role TEXT NOT NULL, 
	created_at BIGINT NOT NULL, two_factor_due_at BIGINT, two_factor_reminded_days INTEGER, 
	CONSTRAINT {prefix}members_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}members_organization_id_user_id_uq UNIQUE (organization_id, user_id), 
	CONSTRAINT {prefix}members_organization_id_fk FOREIGN KEY(organization_id) REFERENCES {prefix}organizations (id) ON DELETE CASCADE, 
	CONSTRAINT {prefix}members_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}invitations (
	id VARCHAR(36) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	organization_id VARCHAR(36) NOT NULL, 
	email TEXT NOT NULL, 
	role TEXT NOT NULL, 
	inviter_id VARCHAR(36) NOT NULL, 
	status TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	closed_at BIGINT, 
	CONSTRAINT {prefix}invitations_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}invitations_digest_uq UNIQUE (digest), 
	CONSTRAINT {prefix}invitations_organization_id_fk FOREIGN KEY(organization_id) REFERENCES {prefix}organizations (id) ON DELETE CASCADE, 
	CONSTRAINT {prefix}invitations_inviter_id_fk FOREIGN KEY(inviter_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}events (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id VARCHAR(36) NOT NULL, 
	type TEXT NOT NULL, 
	user_id VARCHAR(36), 
	at BIGINT NOT NULL, 
	data JSON NOT NULL, 
	CONSTRAINT {prefix}events_id_uq UNIQUE (id)
)
--
CREATE TABLE {prefix}audit (
	sequence INTEGER NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	at BIGINT NOT NULL, 
	action TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	user_id VARCHAR(36), 
	organization_id VARCHAR(36), 
	details JSON NOT NULL, 
	actor_kind TEXT NOT NULL, 
	actor_user_id VARCHAR(36), 
	actor_organization_id VARCHAR(36), 
	method TEXT, 
	ip TEXT, 
	user_agent TEXT, 
	request_id TEXT, 
	previous_hash VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, version INTEGER, origin_commitment VARCHAR(64), origin_salt VARCHAR(32), personal JSON, personal_commitment VARCHAR(64), personal_salt VARCHAR(32), personal_removed BOOLEAN, 
	CONSTRAINT {prefix}audit_pk PRIMARY KEY (sequence), 
	CONSTRAINT {prefix}audit_id_uq UNIQUE (id)
)
--
CREATE TABLE {prefix}sinks (
	name TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	owner TEXT, 
	leased_until BIGINT, 
	CONSTRAINT {prefix}sinks_pk PRIMARY KEY (name)
)
--
CREATE TABLE {prefix}parked_events (
	sink TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	type TEXT NOT NULL, 
	user_id VARCHAR(36), 
	at BIGINT NOT NULL, 
	data JSON NOT NULL, 
	error TEXT NOT NULL, 
	parked_at BIGINT NOT NULL, replay_at BIGINT, 
	CONSTRAINT {prefix}parked_events_pk PRIMARY KEY (sink, sequence)
)
--
CREATE TABLE {prefix}factor_resets (
	id VARCHAR(36) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	asked_by VARCHAR(36) NOT NULL, 
	reason TEXT NOT NULL, 
	asked_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	closed_at BIGINT, 
	outcome TEXT, 
	CONSTRAINT {prefix}factor_resets_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}factor_resets_digest_uq UNIQUE (digest), 
	CONSTRAINT {prefix}factor_resets_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}change_count (
	id INTEGER NOT NULL CHECK (id = 1), 
	count BIGINT NOT NULL, 
	CONSTRAINT {prefix}change_count_pk PRIMARY KEY (id)
)
--
CREATE TABLE {prefix}erasures (
	user_id VARCHAR(36) NOT NULL, 
	erased_at BIGINT NOT NULL, 
	finished_at BIGINT, 
	CONSTRAINT {prefix}erasures_pk PRIMARY KEY (user_id)
)
--
CREATE TABLE {prefix}budgets (
	name TEXT NOT NULL, 
	used INTEGER NOT NULL, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}budgets_pk PRIMARY KEY (name)
)
--
CREATE TABLE {prefix}kept_answers (
	id VARCHAR(36) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	lineage_id VARCHAR(36) NOT NULL, 
	route TEXT NOT NULL, 
	name_digest VARCHAR(64) NOT NULL, 
	body_kid TEXT NOT NULL, 
	body_mac VARCHAR(64) NOT NULL, 
	shows_enrollment BOOLEAN NOT NULL, 
	sealed TEXT, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}kept_answers_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}kept_answers_lineage_id_route_name_digest_uq UNIQUE (lineage_id, route, name_digest), 
	CONSTRAINT {prefix}kept_answers_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}webhooks (
	id VARCHAR(36) NOT NULL, 
	organization_id VARCHAR(36), 
	url TEXT NOT NULL, 
	events TEXT NOT NULL, 
	description TEXT, 
	enabled BOOLEAN NOT NULL, 
	disabled_reason TEXT, 
	from_sequence BIGINT NOT NULL, 
	replay_after BIGINT, 
	replay_until BIGINT, 
	due_at BIGINT, 
	owner TEXT, 
	leased_until BIGINT, 
	failing_since BIGINT, 
	dead_since BIGINT, 
	created_by VARCHAR(36), 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}webhooks_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}webhooks_organization_id_fk FOREIGN KEY(organization_id) REFERENCES {prefix}organizations (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}webhook_secrets (
	id VARCHAR(36) NOT NULL, 
	webhook_id VARCHAR(36) NOT NULL, 
	sealed_secret TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	CONSTRAINT {prefix}webhook_secrets_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}webhook_secrets_webhook_id_fk FOREIGN KEY(webhook_id) REFERENCES {prefix}webhooks (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}webhook_deliveries (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id VARCHAR(36) NOT NULL, 
	webhook_id VARCHAR(36) NOT NULL, 
	event_id VARCHAR(36) NOT NULL, 
	sequence BIGINT NOT NULL, 
	type TEXT NOT NULL, 
	user_id VARCHAR(36), 
	status TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	response_status INTEGER, 
	error TEXT, 
	next_at BIGINT, 
	created_at BIGINT NOT NULL, 
	finished_at BIGINT, 
	CONSTRAINT {prefix}webhook_deliveries_id_uq UNIQUE (id), 
	CONSTRAINT {prefix}webhook_deliveries_webhook_id_event_id_uq UNIQUE (webhook_id, event_id), 
	CONSTRAINT {prefix}webhook_deliveries_webhook_id_fk FOREIGN KEY(webhook_id) REFERENCES {prefix}webhooks (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}webhook_cursors (
	name TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	CONSTRAINT {prefix}webhook_cursors_pk PRIMARY KEY (name)
)
--
CREATE TABLE {prefix}passkeys (
	id VARCHAR(36) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	name TEXT, 
	credential_id TEXT NOT NULL, 
	public_key TEXT NOT NULL, 
	sign_count BIGINT NOT NULL, 
	aaguid TEXT NOT NULL, 
	backup_eligible BOOLEAN NOT NULL, 
	backed_up BOOLEAN NOT NULL, 
	transports TEXT NOT NULL, 
	rp_id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	last_used_at BIGINT, user_handle TEXT, 
	CONSTRAINT {prefix}passkeys_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}passkeys_credential_id_uq UNIQUE (credential_id), 
	CONSTRAINT {prefix}passkeys_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}passkey_ceremonies (
	digest VARCHAR(64) NOT NULL, 
	network TEXT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}passkey_ceremonies_pk PRIMARY KEY (digest)
)
--
CREATE TABLE {prefix}password_guesses (
	"key" VARCHAR(64) NOT NULL, 
	forgotten_at BIGINT NOT NULL, 
	blocked_until BIGINT NOT NULL, 
	CONSTRAINT {prefix}password_guesses_pk PRIMARY KEY ("key")
)
--
CREATE TABLE "{prefix}mail_tokens" (
	id VARCHAR(36) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	purpose TEXT NOT NULL, 
	email TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	opened_at BIGINT, used_at BIGINT, 
	CONSTRAINT {prefix}mail_tokens_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}mail_tokens_digest_uq UNIQUE (digest), 
	CONSTRAINT {prefix}mail_tokens_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}email_changes (
	id VARCHAR(36) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	revert_digest VARCHAR(64) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	lineage_id VARCHAR(36), 
	old_email TEXT NOT NULL, 
	old_mailbox TEXT NOT NULL, 
	new_email TEXT NOT NULL, 
	new_mailbox TEXT NOT NULL, 
	asked_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	revert_until BIGINT NOT NULL, 
	confirmed_at BIGINT, 
	replaced_at BIGINT, 
	closed_at BIGINT, 
	CONSTRAINT {prefix}email_changes_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}email_changes_digest_uq UNIQUE (digest), 
	CONSTRAINT {prefix}email_changes_revert_digest_uq UNIQUE (revert_digest), 
	CONSTRAINT {prefix}email_changes_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}device_authorizations (
	id VARCHAR(36) NOT NULL, 
	device_digest VARCHAR(64) NOT NULL, 
	user_digest VARCHAR(64) NOT NULL, 
	client_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	organization_id VARCHAR(36), 
	key_lifetime_seconds BIGINT NOT NULL, 
	ip TEXT, 
	status TEXT NOT NULL, 
	lineage_id VARCHAR(36), 
	user_id VARCHAR(36), 
	api_key_id VARCHAR(36), 
	sealed_key TEXT, 
	poll_seconds INTEGER NOT NULL, 
	polled_at BIGINT, 
	fetched_at BIGINT, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}device_authorizations_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}device_authorizations_device_digest_uq UNIQUE (device_digest), 
	CONSTRAINT {prefix}device_authorizations_user_digest_uq UNIQUE (user_digest), 
	CONSTRAINT {prefix}device_authorizations_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}two_factor_terms (
	organization_id VARCHAR(36) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	first_joined_at BIGINT NOT NULL, 
	exempt_since BIGINT, 
	exempt_until BIGINT, 
	exempt_reason TEXT, 
	exempt_by VARCHAR(36), 
	CONSTRAINT {prefix}two_factor_terms_pk PRIMARY KEY (organization_id, user_id), 
	CONSTRAINT {prefix}two_factor_terms_organization_id_fk FOREIGN KEY(organization_id) REFERENCES {prefix}organizations (id) ON DELETE CASCADE, 
	CONSTRAINT {prefix}two_factor_terms_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}api_key_usage (
	api_key_id VARCHAR(36) NOT NULL, 
	day DATE NOT NULL, 
	used BIGINT NOT NULL, 
	refused BIGINT NOT NULL, 
	CONSTRAINT {prefix}api_key_usage_pk PRIMARY KEY (api_key_id, day), 
	CONSTRAINT {prefix}api_key_usage_api_key_id_fk FOREIGN KEY(api_key_id) REFERENCES {prefix}api_keys (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}api_key_quotas (
	counter_id VARCHAR(36) NOT NULL, 
	period VARCHAR(10) NOT NULL, 
	taken BIGINT NOT NULL, 
	granted BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}api_key_quotas_pk PRIMARY KEY (counter_id, period)
)
--
CREATE TABLE {prefix}service_accounts (
	id VARCHAR(36) NOT NULL, 
	organization_id VARCHAR(36) NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT, 
	scopes TEXT NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	created_by VARCHAR(36), 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}service_accounts_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}service_accounts_organization_id_fk FOREIGN KEY(organization_id) REFERENCES {prefix}organizations (id) ON DELETE CASCADE
)
--
CREATE TABLE "{prefix}api_keys" (
	id VARCHAR(36) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	user_id VARCHAR(36), 
	organization_id VARCHAR(36), 
	actor_type TEXT, 
	name TEXT NOT NULL, 
	prefix TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	metadata JSON, 
	enabled BOOLEAN NOT NULL, 
	expires_at BIGINT, 
	last_used_at BIGINT, 
	rotated_at BIGINT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	revoked_at BIGINT, 
	revoked_reason TEXT, 
	allowed_ips TEXT, 
	rate_limit_max INTEGER, 
	rate_limit_window_seconds INTEGER, 
	noticed_days INTEGER, 
	unused_noticed_at BIGINT, 
	use_count BIGINT DEFAULT '0' NOT NULL, 
	last_used_ip TEXT, 
	quota_max INTEGER, 
	quota_period TEXT, 
	quota_id VARCHAR(36), 
	service_account_id VARCHAR(36), 
	created_by VARCHAR(36), 
	CONSTRAINT {prefix}api_keys_pk PRIMARY KEY (id), 
	CONSTRAINT {prefix}api_keys_user_id_fk FOREIGN KEY(user_id) REFERENCES {prefix}users (id) ON DELETE CASCADE, 
	CONSTRAINT {prefix}api_keys_digest_uq UNIQUE (digest), 
	CONSTRAINT {prefix}api_keys_service_account_id_fk FOREIGN KEY(service_account_id) REFERENCES {prefix}service_accounts (id) ON DELETE CASCADE
)
--
CREATE TABLE {prefix}import_marks (
	digest VARCHAR(64) NOT NULL, 
	target_id VARCHAR(36) NOT NULL, 
	imported_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}import_marks_pk PRIMARY KEY (digest)
)
--
CREATE TABLE {prefix}mail_queue (
	id VARCHAR(36) NOT NULL, 
	kind TEXT NOT NULL, 
	sealed TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT {prefix}mail_queue_pk PRIMARY KEY (id)
)
--
CREATE INDEX {prefix}api_key_quotas_expires_at_ix ON {prefix}api_key_quotas (expires_at)
--
CREATE INDEX {prefix}api_key_usage_day_ix ON {prefix}api_key_usage (day)
--
CREATE INDEX {prefix}api_keys_created_by_ix ON {prefix}api_keys (created_by) WHERE service_account_id IS NOT NULL AND created_by IS NOT NULL
--
CREATE INDEX {prefix}api_keys_expires_at_ix ON {prefix}api_keys (expires_at) WHERE expires_at IS NOT NULL
--
CREATE INDEX {prefix}api_keys_organization_id_created_at_ix ON {prefix}api_keys (organization_id, created_at) WHERE organization_id IS NOT NULL
--
CREATE INDEX {prefix}api_keys_revoked_at_ix ON {prefix}api_keys (revoked_at) WHERE revoked_at IS NOT NULL
--
CREATE INDEX {prefix}api_keys_service_account_ix ON {prefix}api_keys (service_account_id, created_at) WHERE service_account_id IS NOT NULL
--
CREATE INDEX {prefix}api_keys_user_id_created_at_ix ON {prefix}api_keys (user_id, created_at) WHERE user_id IS NOT NULL
--
CREATE INDEX {prefix}api_keys_user_id_expires_at_ix ON {prefix}api_keys (user_id, expires_at) WHERE user_id IS NOT NULL
--
CREATE INDEX {prefix}audit_action_sequence_ix ON {prefix}audit (action, sequence)
--
CREATE INDEX {prefix}audit_actor_user_id_sequence_ix ON {prefix}audit (actor_user_id, sequence)
--
CREATE INDEX {prefix}audit_at_ix ON {prefix}audit (at)
--
CREATE INDEX {prefix}audit_outcome_sequence_ix ON {prefix}audit (outcome, sequence)
--
CREATE INDEX {prefix}audit_user_id_sequence_ix ON {prefix}audit (user_id, sequence)
--
CREATE INDEX {prefix}backup_codes_user_id_selector_ix ON {prefix}backup_codes (user_id, selector)
--
CREATE INDEX {prefix}budgets_expires_at_ix ON {prefix}budgets (expires_at)
--
CREATE INDEX {prefix}challenges_expires_at_ix ON {prefix}challenges (expires_at)
--
CREATE INDEX {prefix}challenges_user_id_ix ON {prefix}challenges (user_id)
--
CREATE INDEX {prefix}device_authorizations_expires_at_ix ON {prefix}device_authorizations (expires_at)
--
CREATE INDEX {prefix}device_authorizations_user_id_ix ON {prefix}device_authorizations (user_id)
--
CREATE INDEX {prefix}email_changes_new_email_ix ON {prefix}email_changes (new_email)
--
CREATE INDEX {prefix}email_changes_old_email_ix ON {prefix}email_changes (old_email)
--
CREATE INDEX {prefix}email_changes_revert_until_ix ON {prefix}email_changes (revert_until)
--
CREATE INDEX {prefix}email_changes_user_id_ix ON {prefix}email_changes (user_id)
--
CREATE INDEX {prefix}enrolments_expires_at_ix ON {prefix}enrolments (expires_at)
--
CREATE INDEX {prefix}erasures_erased_at_ix ON {prefix}erasures (erased_at)
--
CREATE INDEX {prefix}erasures_finished_at_erased_at_ix ON {prefix}erasures (finished_at, erased_at)
--
CREATE INDEX {prefix}events_at_ix ON {prefix}events (at)
--
CREATE INDEX {prefix}events_type_sequence_ix ON {prefix}events (type, sequence)
--
CREATE INDEX {prefix}events_user_id_sequence_ix ON {prefix}events (user_id, sequence)
--
CREATE INDEX {prefix}factor_resets_closed_at_ix ON {prefix}factor_resets (closed_at)
--
CREATE INDEX {prefix}factor_resets_due_at_ix ON {prefix}factor_resets (due_at)
--
CREATE UNIQUE INDEX {prefix}factor_resets_user_id_ix ON {prefix}factor_resets (user_id) WHERE closed_at IS NULL
--
CREATE INDEX {prefix}factor_resets_user_ix ON {prefix}factor_resets (user_id)
--
CREATE INDEX {prefix}factors_renew_by_ix ON {prefix}factors (renew_by)
--
CREATE INDEX {prefix}invitations_email_ix ON {prefix}invitations (email)
--
CREATE INDEX {prefix}invitations_expires_at_ix ON {prefix}invitations (expires_at)
--
CREATE INDEX {prefix}invitations_inviter_id_ix ON {prefix}invitations (inviter_id)
--
CREATE INDEX {prefix}invitations_organization_id_ix ON {prefix}invitations (organization_id)
--
CREATE INDEX {prefix}kept_answers_expires_at_ix ON {prefix}kept_answers (expires_at)
--
CREATE INDEX {prefix}kept_answers_user_id_ix ON {prefix}kept_answers (user_id)
--
CREATE INDEX {prefix}mail_queue_next_at_ix ON {prefix}mail_queue (next_at)
--
CREATE INDEX {prefix}mail_tokens_expires_at_ix ON {prefix}mail_tokens (expires_at)
--
CREATE INDEX {prefix}mail_tokens_user_id_ix ON {prefix}mail_tokens (user_id)
--
CREATE INDEX {prefix}members_two_factor_due_at_ix ON {prefix}members (two_factor_due_at)
--
CREATE INDEX {prefix}members_user_id_ix ON {prefix}members (user_id)
--
CREATE INDEX {prefix}organizations_unused_rule_ix ON {prefix}organizations (id) WHERE api_key_unused_days IS NOT NULL
--
CREATE INDEX {prefix}parked_events_id_ix ON {prefix}parked_events (id)
--
CREATE INDEX {prefix}parked_events_parked_at_ix ON {prefix}parked_events (parked_at)
--
CREATE INDEX {prefix}parked_events_sequence_sink_ix ON {prefix}parked_events (sequence, sink)
--
CREATE INDEX {prefix}parked_events_user_id_sequence_ix ON {prefix}parked_events (user_id, sequence)
--
CREATE INDEX {prefix}passkey_ceremonies_expires_at_ix ON {prefix}passkey_ceremonies (expires_at)
--
CREATE INDEX {prefix}passkey_ceremonies_network_ix ON {prefix}passkey_ceremonies (network)
--
CREATE INDEX {prefix}passkeys_user_id_ix ON {prefix}passkeys (user_id)
--
CREATE INDEX {prefix}password_guesses_forgotten_at_ix ON {prefix}password_guesses (forgotten_at)
--
CREATE INDEX {prefix}refresh_tokens_session_id_ix ON {prefix}refresh_tokens (session_id)
--
CREATE INDEX {prefix}service_accounts_newest_ix ON {prefix}service_accounts (organization_id, created_at)
--
CREATE INDEX {prefix}sessions_expires_at_ix ON {prefix}sessions (expires_at)
--
CREATE INDEX {prefix}sessions_user_id_ix ON {prefix}sessions (user_id)
--
CREATE INDEX {prefix}trusted_devices_expires_at_ix ON {prefix}trusted_devices (expires_at)
--
CREATE INDEX {prefix}trusted_devices_user_id_ix ON {prefix}trusted_devices (user_id)
--
CREATE INDEX {prefix}two_factor_terms_user_id_ix ON {prefix}two_factor_terms (user_id)
--
CREATE INDEX {prefix}users_actor_types_ix ON {prefix}users (actor_types)
--
CREATE UNIQUE INDEX {prefix}users_external_id_ix ON {prefix}users (external_id) WHERE external_id IS NOT NULL
--
CREATE INDEX {prefix}webhook_deliveries_created_at_ix ON {prefix}webhook_deliveries (created_at)
--
CREATE INDEX {prefix}webhook_deliveries_pending_ix ON {prefix}webhook_deliveries (webhook_id, user_id, sequence) WHERE status = 'pending'
--
CREATE INDEX {prefix}webhook_deliveries_webhook_id_number_ix ON {prefix}webhook_deliveries (webhook_id, number)
--
CREATE INDEX {prefix}webhook_secrets_expires_at_ix ON {prefix}webhook_secrets (expires_at)
--
CREATE INDEX {prefix}webhook_secrets_webhook_id_ix ON {prefix}webhook_secrets (webhook_id)
--
CREATE INDEX {prefix}webhooks_dead_since_ix ON {prefix}webhooks (dead_since)
--
CREATE INDEX {prefix}webhooks_due_at_ix ON {prefix}webhooks (due_at)
--
CREATE INDEX {prefix}webhooks_enabled_ix ON {prefix}webhooks (enabled)
--
CREATE INDEX {prefix}webhooks_organization_id_ix ON {prefix}webhooks (organization_id)
--
CREATE INDEX {prefix}webhooks_replay_after_ix ON {prefix}webhooks (replay_after)
--
INSERT INTO {prefix}version (version_num, oldest_program) VALUES ('0032', '0021')
--
INSERT INTO {prefix}change_count (id, count) VALUES (1, 0)
--
CREATE TRIGGER {prefix}changed_api_keys_delete AFTER DELETE ON {prefix}api_keys WHEN OLD.revoked_at IS NULL BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_api_keys_update AFTER UPDATE OF actor_type, allowed_ips, enabled, expires_at, organization_id, quota_id, quota_max, quota_period, rate_limit_max, rate_limit_window_seconds, revoked_at, scopes ON {prefix}api_keys WHEN OLD.actor_type IS NOT NEW.actor_type OR OLD.allowed_ips IS NOT NEW.allowed_ips OR OLD.enabled IS NOT NEW.enabled OR OLD.expires_at IS NOT NEW.expires_at OR OLD.organization_id IS NOT NEW.organization_id OR OLD.quota_id IS NOT NEW.quota_id OR OLD.quota_max IS NOT NEW.quota_max OR OLD.quota_period IS NOT NEW.quota_period OR OLD.rate_limit_max IS NOT NEW.rate_limit_max OR OLD.rate_limit_window_seconds IS NOT NEW.rate_limit_window_seconds OR OLD.revoked_at IS NOT NEW.revoked_at OR OLD.scopes IS NOT NEW.scopes BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_factors_delete AFTER DELETE ON {prefix}factors BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_factors_insert AFTER INSERT ON {prefix}factors BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_factors_update AFTER UPDATE OF renew_by ON {prefix}factors WHEN OLD.renew_by IS NOT NEW.renew_by BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_members_delete AFTER DELETE ON {prefix}members BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_members_insert AFTER INSERT ON {prefix}members BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_members_update AFTER UPDATE OF role, two_factor_due_at ON {prefix}members WHEN OLD.role IS NOT NEW.role OR OLD.two_factor_due_at IS NOT NEW.two_factor_due_at BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_passkeys_delete AFTER DELETE ON {prefix}passkeys BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_passkeys_insert AFTER INSERT ON {prefix}passkeys BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_service_accounts_delete AFTER DELETE ON {prefix}service_accounts BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_service_accounts_update AFTER UPDATE OF enabled, scopes ON {prefix}service_accounts WHEN OLD.enabled IS NOT NEW.enabled OR OLD.scopes IS NOT NEW.scopes BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_sessions_delete AFTER DELETE ON {prefix}sessions WHEN OLD.revoked_at IS NULL BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_sessions_update AFTER UPDATE OF aal, actor_type, amr, auth_time, expires_at, factor_proved_at, organization_id, revoked_at ON {prefix}sessions WHEN OLD.aal IS NOT NEW.aal OR OLD.actor_type IS NOT NEW.actor_type OR OLD.amr IS NOT NEW.amr OR OLD.auth_time IS NOT NEW.auth_time OR OLD.expires_at IS NOT NEW.expires_at OR OLD.factor_proved_at IS NOT NEW.factor_proved_at OR OLD.organization_id IS NOT NEW.organization_id OR OLD.revoked_at IS NOT NEW.revoked_at BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_users_delete AFTER DELETE ON {prefix}users BEGIN UPDATE {prefix}change_count SET count = count + 1; END
--
CREATE TRIGGER {prefix}changed_users_update AFTER UPDATE OF actor_type_grants, actor_types, banned_at, passkeys_enabled_at ON {prefix}users WHEN OLD.actor_type_grants IS NOT NEW.actor_type_grants OR OLD.actor_types IS NOT NEW.actor_types OR OLD.banned_at IS NOT NEW.banned_at OR OLD.passkeys_enabled_at IS NOT NEW.passkeys_enabled_at BEGIN UPDATE {prefix}change_count SET count = count + 1; END
