-- Made from the migrations by "node sandbox/run.mjs sandbox/dump-schema.ts". Do not edit.

create schema audit;
create schema clients;
create schema consents;
create schema customers;
create schema events;
create schema ledger;
create schema oidc;
create schema payments;

create table audit.record (
  record_id text not null,
  occurred_at timestamp with time zone not null,
  actor text not null,
  action text not null,
  subject text not null,
  interaction_id text,
  details jsonb not null,
  constraint record_id_is_prefixed CHECK ((record_id ~ '^aud_[0-9a-f]{32}$'::text)),
  constraint record_pkey PRIMARY KEY (record_id)
);

create table clients.client (
  client_id text not null,
  profile text not null,
  name text not null,
  first_party boolean not null,
  metadata jsonb not null,
  status text not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  constraint client_id_is_not_a_subject CHECK (((client_id ~ '^[A-Za-z0-9._-]{4,64}$'::text) AND (client_id !~ '^cus_'::text))),
  constraint client_pkey PRIMARY KEY (client_id),
  constraint client_profile_is_known CHECK ((profile = ANY (ARRAY['fapi2_sp'::text, 'fapi2_ms'::text, 'fapi1_adv_hybrid'::text, 'fapi1_adv_jarm'::text, 'fapi_ciba'::text, 'resource_server'::text]))),
  constraint client_status_is_known CHECK ((status = ANY (ARRAY['active'::text, 'blocked'::text, 'deleted'::text])))
);

create table clients.initial_access_token (
  token_hash bytea not null,
  note text not null,
  scopes text[] not null,
  uses_left integer not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  constraint initial_access_token_is_not_overused CHECK ((uses_left >= 0)),
  constraint initial_access_token_pkey PRIMARY KEY (token_hash)
);

create table clients.registration (
  client_id text not null,
  software_issuer text,
  software_id text,
  request jsonb not null,
  access_token_hash bytea,
  scopes text[] not null,
  registered_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  deleted_at timestamp with time zone,
  constraint registration_client_id_fkey FOREIGN KEY (client_id) REFERENCES clients.client(client_id),
  constraint registration_is_by_statement_or_token CHECK ((((software_issuer IS NULL) = (software_id IS NULL)) AND ((software_id IS NULL) = (access_token_hash IS NOT NULL)))),
  constraint registration_pkey PRIMARY KEY (client_id)
);

create table clients.remote_document (
  url text not null,
  body bytea not null,
  fetched_at timestamp with time zone not null,
  constraint remote_document_is_bounded CHECK (((octet_length(body) <= 8388608) AND (length(url) <= 2048))),
  constraint remote_document_pkey PRIMARY KEY (url)
);

create table consents.consent (
  consent_id text not null,
  client_id text not null,
  kind text not null,
  status text not null,
  status_updated_at timestamp with time zone not null,
  status_reason_code text,
  status_reason_description text,
  created_at timestamp with time zone not null,
  authorise_before timestamp with time zone not null,
  request jsonb not null,
  permissions text[] not null,
  expires_at timestamp with time zone,
  transaction_from timestamp with time zone,
  transaction_to timestamp with time zone,
  amount_minor numeric(38,0),
  currency text,
  creditor_name text,
  creditor_scheme_name text,
  creditor_identification text,
  creditor_account_id text,
  debtor_account_id text,
  debtor_scheme_name text,
  debtor_identification text,
  reference text,
  customer_id text,
  authorised_at timestamp with time zone,
  grant_id text,
  deleted_at timestamp with time zone,
  constraint consent_amount_has_a_currency CHECK (((amount_minor IS NULL) = (currency IS NULL))),
  constraint consent_amount_is_positive CHECK ((amount_minor > (0)::numeric)),
  constraint consent_authorised_has_a_customer CHECK (((status <> ALL (ARRAY['AUTH'::text, 'COND'::text, 'CANC'::text])) OR ((customer_id IS NOT NULL) AND (authorised_at IS NOT NULL)))),
  constraint consent_authorised_payment_has_a_debtor CHECK (((kind = 'account_access'::text) OR (status <> ALL (ARRAY['AUTH'::text, 'COND'::text])) OR (debtor_account_id IS NOT NULL))),
  constraint consent_client_id_fkey FOREIGN KEY (client_id) REFERENCES clients.client(client_id),
  constraint consent_creditor_account_id_fkey FOREIGN KEY (creditor_account_id) REFERENCES ledger.account(account_id),
  constraint consent_currency_fkey FOREIGN KEY (currency) REFERENCES ledger.currency(currency),
  constraint consent_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers.customer(customer_id),
  constraint consent_debtor_account_id_fkey FOREIGN KEY (debtor_account_id) REFERENCES ledger.account(account_id),
  constraint consent_id_is_prefixed CHECK ((consent_id ~ '^con_[0-9a-f]{32}$'::text)),
  constraint consent_kind_is_known CHECK ((kind = ANY (ARRAY['account_access'::text, 'domestic_payment'::text, 'transfer'::text]))),
  constraint consent_only_payments_are_consumed CHECK (((status <> 'COND'::text) OR (kind <> 'account_access'::text))),
  constraint consent_payment_has_a_creditor CHECK (((kind = 'account_access'::text) = (creditor_name IS NULL))),
  constraint consent_payment_has_an_amount CHECK (((kind = 'account_access'::text) = (amount_minor IS NULL))),
  constraint consent_pkey PRIMARY KEY (consent_id),
  constraint consent_reason_code_is_short CHECK ((length(status_reason_code) <= 4)),
  constraint consent_status_is_known CHECK ((status = ANY (ARRAY['AWAU'::text, 'AUTH'::text, 'RJCT'::text, 'COND'::text, 'CANC'::text, 'EXPD'::text])))
);

create table consents.consent_account (
  consent_id text not null,
  account_id text not null,
  constraint consent_account_account_id_fkey FOREIGN KEY (account_id) REFERENCES ledger.account(account_id),
  constraint consent_account_consent_id_fkey FOREIGN KEY (consent_id) REFERENCES consents.consent(consent_id),
  constraint consent_account_is_chosen_once PRIMARY KEY (consent_id, account_id)
);

create table consents.transition (
  kind text not null,
  from_status text not null,
  to_status text not null,
  constraint transition_pkey PRIMARY KEY (kind, from_status, to_status)
);

create table customers.beneficiary (
  beneficiary_id text not null,
  customer_id text not null,
  name text not null,
  scheme_name text not null,
  identification text not null,
  reference text,
  name_check text not null,
  created_at timestamp with time zone not null,
  constraint beneficiary_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers.customer(customer_id),
  constraint beneficiary_id_is_prefixed CHECK ((beneficiary_id ~ '^ben_[0-9a-f]{32}$'::text)),
  constraint beneficiary_is_unique_per_customer UNIQUE (customer_id, scheme_name, identification),
  constraint beneficiary_name_check_is_known CHECK ((name_check = ANY (ARRAY['matched'::text, 'close_match'::text, 'not_matched'::text, 'not_checked'::text]))),
  constraint beneficiary_pkey PRIMARY KEY (beneficiary_id)
);

create table customers.customer (
  customer_id text not null,
  username text not null,
  password_hash text not null,
  totp_secret_sealed bytea not null,
  full_name text not null,
  email text not null,
  email_verified boolean not null,
  phone text not null,
  created_at timestamp with time zone not null,
  constraint customer_id_is_prefixed CHECK ((customer_id ~ '^cus_[0-9a-f]{32}$'::text)),
  constraint customer_pkey PRIMARY KEY (customer_id),
  constraint customer_username_is_lower_case CHECK ((username = lower(username))),
  constraint customer_username_is_unique UNIQUE (username)
);

create table customers.sca_challenge (
  challenge_id text not null,
  customer_id text not null,
  consent_id text,
  binding_hash bytea not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  answered_at timestamp with time zone,
  spent_at timestamp with time zone,
  constraint sca_challenge_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers.customer(customer_id),
  constraint sca_challenge_id_is_prefixed CHECK ((challenge_id ~ '^sca_[0-9a-f]{32}$'::text)),
  constraint sca_challenge_pkey PRIMARY KEY (challenge_id),
  constraint sca_challenge_spent_only_when_answered CHECK (((spent_at IS NULL) OR (answered_at IS NOT NULL)))
);

create table customers.session (
  session_hash bytea not null,
  customer_id text not null,
  created_at timestamp with time zone not null,
  last_seen_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  constraint session_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers.customer(customer_id),
  constraint session_pkey PRIMARY KEY (session_hash)
);

create table customers.sign_in_attempt (
  username_hash bytea not null,
  failures integer not null,
  locked_until timestamp with time zone,
  updated_at timestamp with time zone not null,
  constraint sign_in_attempt_failures_within_limit CHECK (((failures >= 0) AND (failures <= 5))),
  constraint sign_in_attempt_pkey PRIMARY KEY (username_hash)
);

create table customers.totp_step_used (
  customer_id text not null,
  step bigint not null,
  used_at timestamp with time zone not null,
  constraint totp_step_is_used_once PRIMARY KEY (customer_id, step),
  constraint totp_step_used_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers.customer(customer_id)
);

create table events.event (
  event_id text not null,
  event_number bigint generated always as identity not null,
  type text not null,
  subject text not null,
  client_id text,
  customer_id text,
  payload jsonb not null,
  occurred_at timestamp with time zone not null,
  attempts integer not null,
  next_attempt_at timestamp with time zone,
  delivered_at timestamp with time zone,
  dead_at timestamp with time zone,
  last_error text,
  constraint event_id_is_prefixed CHECK ((event_id ~ '^evt_[0-9a-f]{32}$'::text)),
  constraint event_is_not_both_delivered_and_dead CHECK (((delivered_at IS NULL) OR (dead_at IS NULL))),
  constraint event_is_waiting_delivered_or_dead CHECK (((next_attempt_at IS NULL) = ((delivered_at IS NOT NULL) OR (dead_at IS NOT NULL)))),
  constraint event_pkey PRIMARY KEY (event_id)
);

create table events.notification (
  event_id text not null,
  customer_id text not null,
  occurred_at timestamp with time zone not null,
  type text not null,
  payload jsonb not null,
  constraint notification_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers.customer(customer_id),
  constraint notification_event_id_fkey FOREIGN KEY (event_id) REFERENCES events.event(event_id),
  constraint notification_pkey PRIMARY KEY (event_id)
);

create table ledger.account (
  account_id text not null,
  customer_id text,
  kind text not null,
  currency text not null,
  status text not null,
  nickname text not null,
  holder_name text not null,
  type_code text not null,
  sort_code text,
  account_number text,
  iban text,
  posted_minor numeric(38,0) not null,
  held_minor numeric(38,0) not null,
  overdraft_minor numeric(38,0) not null,
  posting_count bigint not null,
  opened_at timestamp with time zone not null,
  constraint account_currency_fkey FOREIGN KEY (currency) REFERENCES ledger.currency(currency),
  constraint account_currency_is_fixed UNIQUE (account_id, currency),
  constraint account_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers.customer(customer_id),
  constraint account_customer_kind_has_a_customer CHECK (((kind = 'customer'::text) = (customer_id IS NOT NULL))),
  constraint account_held_is_not_negative CHECK ((held_minor >= (0)::numeric)),
  constraint account_iban_is_unique UNIQUE (iban),
  constraint account_id_is_prefixed CHECK ((account_id ~ '^acc_[0-9a-f]{32}$'::text)),
  constraint account_kind_is_known CHECK ((kind = ANY (ARRAY['customer'::text, 'settlement'::text, 'equity'::text]))),
  constraint account_number_is_eight_digits CHECK ((account_number ~ '^[0-9]{8}$'::text)),
  constraint account_number_is_unique UNIQUE (sort_code, account_number),
  constraint account_overdraft_is_not_negative CHECK ((overdraft_minor >= (0)::numeric)),
  constraint account_pkey PRIMARY KEY (account_id),
  constraint account_sort_code_and_number_come_together CHECK (((sort_code IS NULL) = (account_number IS NULL))),
  constraint account_sort_code_is_six_digits CHECK ((sort_code ~ '^[0-9]{6}$'::text)),
  constraint account_status_is_known CHECK ((status = ANY (ARRAY['open'::text, 'frozen'::text, 'closed'::text]))),
  constraint account_type_code_is_iso_20022 CHECK ((type_code = ANY (ARRAY['CACC'::text, 'SVGS'::text, 'OTHR'::text]))),
  constraint account_within_overdraft CHECK (((kind <> 'customer'::text) OR (((posted_minor - held_minor) + overdraft_minor) >= (0)::numeric)))
) with (fillfactor=60);

create table ledger.currency (
  currency text not null,
  minor_digits integer not null,
  constraint currency_code_is_iso_4217 CHECK ((currency ~ '^[A-Z]{3}$'::text)),
  constraint currency_minor_digits_within_range CHECK (((minor_digits >= 0) AND (minor_digits <= 18))),
  constraint currency_pkey PRIMARY KEY (currency)
);

create table ledger.entry (
  entry_id text not null,
  kind text not null,
  currency text not null,
  description text not null,
  reference text not null,
  payment_id text,
  reverses text,
  booked_at timestamp with time zone not null,
  value_date date not null,
  constraint entry_currency_fkey FOREIGN KEY (currency) REFERENCES ledger.currency(currency),
  constraint entry_id_is_prefixed CHECK ((entry_id ~ '^ent_[0-9a-f]{32}$'::text)),
  constraint entry_kind_is_known CHECK ((kind = ANY (ARRAY['opening'::text, 'transfer'::text, 'reversal'::text]))),
  constraint entry_pkey PRIMARY KEY (entry_id),
  constraint entry_reversal_names_what_it_reverses CHECK (((kind = 'reversal'::text) = (reverses IS NOT NULL))),
  constraint entry_reverses_another_once UNIQUE (reverses),
  constraint entry_reverses_fkey FOREIGN KEY (reverses) REFERENCES ledger.entry(entry_id)
);

create table ledger.hold (
  hold_id text not null,
  account_id text not null,
  currency text not null,
  amount_minor numeric(38,0) not null,
  status text not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  resolved_at timestamp with time zone,
  entry_id text,
  constraint hold_amount_is_positive CHECK ((amount_minor > (0)::numeric)),
  constraint hold_captured_has_an_entry CHECK (((status = 'captured'::text) = (entry_id IS NOT NULL))),
  constraint hold_currency_matches_account FOREIGN KEY (account_id, currency) REFERENCES ledger.account(account_id, currency),
  constraint hold_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES ledger.entry(entry_id),
  constraint hold_id_is_prefixed CHECK ((hold_id ~ '^hld_[0-9a-f]{32}$'::text)),
  constraint hold_pkey PRIMARY KEY (hold_id),
  constraint hold_resolved_has_a_time CHECK (((status = 'active'::text) = (resolved_at IS NULL))),
  constraint hold_status_is_known CHECK ((status = ANY (ARRAY['active'::text, 'captured'::text, 'released'::text, 'expired'::text])))
);

create table ledger.posting (
  account_id text not null,
  posting_number bigint not null,
  entry_id text not null,
  currency text not null,
  amount_minor numeric(38,0) not null,
  balance_minor numeric(38,0) not null,
  counterparty_name text not null,
  counterparty_scheme_name text,
  counterparty_identification text,
  booked_at timestamp with time zone not null,
  constraint posting_amount_is_not_zero CHECK ((amount_minor <> (0)::numeric)),
  constraint posting_currency_matches_account FOREIGN KEY (account_id, currency) REFERENCES ledger.account(account_id, currency),
  constraint posting_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES ledger.entry(entry_id),
  constraint posting_is_numbered_by_account PRIMARY KEY (account_id, posting_number)
);

create table oidc.authorization_code (
  id_hash bytea not null,
  grant_id text not null,
  payload text not null,
  consumed_at timestamp with time zone,
  expires_at timestamp with time zone not null,
  constraint authorization_code_pkey PRIMARY KEY (id_hash)
);

create table oidc."grant" (
  grant_id text not null,
  client_id text not null,
  customer_id text not null,
  payload text not null,
  created_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  expires_at timestamp with time zone not null,
  constraint grant_pkey PRIMARY KEY (grant_id)
);

create table oidc.interaction (
  id_hash bytea not null,
  payload text not null,
  expires_at timestamp with time zone not null,
  constraint interaction_pkey PRIMARY KEY (id_hash)
);

create table oidc.journey (
  journey_hash bytea not null,
  page_number integer not null,
  state jsonb not null,
  expires_at timestamp with time zone not null,
  constraint journey_pkey PRIMARY KEY (journey_hash)
);

create table oidc.pushed_authorization_request (
  id_hash bytea not null,
  payload text not null,
  consumed_at timestamp with time zone,
  expires_at timestamp with time zone not null,
  constraint pushed_authorization_request_pkey PRIMARY KEY (id_hash)
);

create table oidc.refresh_token (
  id_hash bytea not null,
  grant_id text not null,
  payload text not null,
  consumed_at timestamp with time zone,
  expires_at timestamp with time zone not null,
  constraint refresh_token_pkey PRIMARY KEY (id_hash)
);

create table oidc.revoked_token (
  token_hash bytea not null,
  expires_at timestamp with time zone not null,
  constraint revoked_token_is_revoked_once PRIMARY KEY (token_hash)
);

create table oidc.session (
  id_hash bytea not null,
  uid text not null,
  payload text not null,
  expires_at timestamp with time zone not null,
  constraint session_pkey PRIMARY KEY (id_hash),
  constraint session_uid_is_unique UNIQUE (uid)
);

create table oidc.used_identifier (
  id_hash bytea not null,
  expires_at timestamp with time zone not null,
  constraint identifier_is_used_once PRIMARY KEY (id_hash)
);

create table payments.idempotent_request (
  client_id text not null,
  method text not null,
  endpoint text not null,
  key text not null,
  request_hash bytea not null,
  resource_id text not null,
  created_at timestamp with time zone not null,
  constraint idempotent_request_client_id_fkey FOREIGN KEY (client_id) REFERENCES clients.client(client_id),
  constraint idempotent_request_is_claimed_once PRIMARY KEY (client_id, method, endpoint, key),
  constraint idempotent_request_key_within_length CHECK (((length(key) >= 1) AND (length(key) <= 40)))
);

create table payments.payment (
  payment_id text not null,
  consent_id text not null,
  client_id text not null,
  customer_id text not null,
  channel text not null,
  status text not null,
  status_updated_at timestamp with time zone not null,
  rejection_reason text,
  debtor_account_id text not null,
  creditor_account_id text not null,
  creditor_name text not null,
  creditor_scheme_name text not null,
  creditor_identification text not null,
  amount_minor numeric(38,0) not null,
  currency text not null,
  instruction_identification text not null,
  end_to_end_identification text not null,
  reference text not null,
  hold_id text,
  entry_id text,
  created_at timestamp with time zone not null,
  deadline_at timestamp with time zone not null,
  constraint payment_amount_is_positive CHECK ((amount_minor > (0)::numeric)),
  constraint payment_channel_is_known CHECK ((channel = ANY (ARRAY['uk_v4'::text, 'bank_api'::text]))),
  constraint payment_consent_id_fkey FOREIGN KEY (consent_id) REFERENCES consents.consent(consent_id),
  constraint payment_creditor_account_id_fkey FOREIGN KEY (creditor_account_id) REFERENCES ledger.account(account_id),
  constraint payment_debtor_is_not_creditor CHECK ((debtor_account_id <> creditor_account_id)),
  constraint payment_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES ledger.entry(entry_id),
  constraint payment_held_has_a_hold CHECK (((status = 'rejected'::text) OR (hold_id IS NOT NULL))),
  constraint payment_hold_id_fkey FOREIGN KEY (hold_id) REFERENCES ledger.hold(hold_id),
  constraint payment_id_is_prefixed CHECK ((payment_id ~ '^pay_[0-9a-f]{32}$'::text)),
  constraint payment_one_per_consent UNIQUE (consent_id),
  constraint payment_pkey PRIMARY KEY (payment_id),
  constraint payment_posted_has_an_entry CHECK (((status = 'posted'::text) = (entry_id IS NOT NULL))),
  constraint payment_rejected_has_a_reason CHECK (((status = 'rejected'::text) = (rejection_reason IS NOT NULL))),
  constraint payment_status_is_known CHECK ((status = ANY (ARRAY['held'::text, 'posted'::text, 'rejected'::text])))
);

CREATE INDEX record_of_subject ON audit.record USING btree (subject, occurred_at);

CREATE UNIQUE INDEX registration_one_client_per_software ON clients.registration USING btree (software_issuer, software_id) WHERE ((deleted_at IS NULL) AND (software_id IS NOT NULL));

CREATE INDEX consent_authorised_expiry ON consents.consent USING btree (expires_at) WHERE ((status = 'AUTH'::text) AND (expires_at IS NOT NULL));

CREATE INDEX consent_authorised_payment ON consents.consent USING btree (authorised_at) WHERE ((status = 'AUTH'::text) AND (kind <> 'account_access'::text));

CREATE INDEX consent_awaiting_authorisation ON consents.consent USING btree (authorise_before) WHERE (status = 'AWAU'::text);

CREATE INDEX consent_cancelled_expiry ON consents.consent USING btree (expires_at) WHERE ((status = 'CANC'::text) AND (expires_at IS NOT NULL));

CREATE INDEX consent_of_customer ON consents.consent USING btree (customer_id, authorised_at DESC) WHERE (customer_id IS NOT NULL);

CREATE INDEX consent_of_grant ON consents.consent USING btree (grant_id) WHERE (grant_id IS NOT NULL);

CREATE INDEX sca_challenge_expiry ON customers.sca_challenge USING btree (expires_at);

CREATE INDEX session_expiry ON customers.session USING btree (expires_at);

CREATE INDEX sign_in_attempt_age ON customers.sign_in_attempt USING btree (updated_at);

CREATE INDEX totp_step_used_age ON customers.totp_step_used USING btree (used_at);

CREATE INDEX event_dead ON events.event USING btree (dead_at) WHERE (dead_at IS NOT NULL);

CREATE INDEX event_waiting ON events.event USING btree (next_attempt_at, event_number) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX event_waiting_of_subject ON events.event USING btree (subject, event_number) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX notification_of_customer ON events.notification USING btree (customer_id, occurred_at DESC);

CREATE INDEX account_of_customer ON ledger.account USING btree (customer_id, account_id) WHERE (customer_id IS NOT NULL);

CREATE INDEX account_of_settlement ON ledger.account USING btree (currency) WHERE (kind = 'settlement'::text);

CREATE UNIQUE INDEX entry_posts_a_payment_once ON ledger.entry USING btree (payment_id) WHERE ((payment_id IS NOT NULL) AND (kind <> 'reversal'::text));

CREATE INDEX hold_active_expiry ON ledger.hold USING btree (expires_at) WHERE (status = 'active'::text);

CREATE INDEX posting_by_time ON ledger.posting USING btree (account_id, booked_at DESC, posting_number DESC);

CREATE INDEX posting_of_entry ON ledger.posting USING btree (entry_id);

CREATE INDEX authorization_code_expiry ON oidc.authorization_code USING btree (expires_at);

CREATE INDEX authorization_code_of_grant ON oidc.authorization_code USING btree (grant_id);

CREATE INDEX grant_expiry ON oidc."grant" USING btree (expires_at);

CREATE INDEX grant_of_client ON oidc."grant" USING btree (client_id) WHERE (revoked_at IS NULL);

CREATE INDEX interaction_expiry ON oidc.interaction USING btree (expires_at);

CREATE INDEX journey_expiry ON oidc.journey USING btree (expires_at);

CREATE INDEX pushed_authorization_request_expiry ON oidc.pushed_authorization_request USING btree (expires_at);

CREATE INDEX refresh_token_expiry ON oidc.refresh_token USING btree (expires_at);

CREATE INDEX refresh_token_of_grant ON oidc.refresh_token USING btree (grant_id);

CREATE INDEX revoked_token_expiry ON oidc.revoked_token USING btree (expires_at);

CREATE INDEX session_expiry ON oidc.session USING btree (expires_at);

CREATE INDEX used_identifier_expiry ON oidc.used_identifier USING btree (expires_at);

CREATE INDEX idempotent_request_age ON payments.idempotent_request USING btree (created_at);

CREATE INDEX payment_waiting ON payments.payment USING btree (created_at) WHERE (status = 'held'::text);

create view consents.account_to_show with (security_barrier=true) as
 SELECT account_id,
    customer_id,
    nickname,
    holder_name,
    type_code,
    currency,
    sort_code,
    "right"(account_number, 4) AS account_number_last_four,
    "right"(iban, 4) AS iban_last_four,
    status,
    posted_minor - held_minor + overdraft_minor AS available_minor
   FROM ledger.account
  WHERE kind = 'customer'::text;

CREATE OR REPLACE FUNCTION audit.record_is_append_only()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception 'the audit log is append-only' using errcode = '42501', constraint = 'record_is_append_only', table = 'record', schema = 'audit';
end $function$
;

CREATE OR REPLACE FUNCTION clients.change_third_party(p_client_id text, p_name text, p_metadata jsonb, p_now timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with changed as (
    update clients.client set name = p_name, metadata = p_metadata, updated_at = p_now
    where client_id = p_client_id and not first_party and status = 'active'
      and exists (select from clients.registration r where r.client_id = p_client_id and r.deleted_at is null)
    returning 1)
  select exists (select from changed)
$function$
;

CREATE OR REPLACE FUNCTION clients.end_third_party(p_client_id text, p_now timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update clients.client set status = 'deleted', updated_at = p_now
  where client_id = p_client_id and not first_party and status = 'active'
    and exists (select from clients.registration r where r.client_id = p_client_id and r.deleted_at is null);
  if not found then
    return false;
  end if;
  update clients.registration set deleted_at = p_now, updated_at = p_now where client_id = p_client_id;
  delete from oidc.refresh_token where grant_id in (select grant_id from oidc.grant where client_id = p_client_id);
  delete from oidc.authorization_code where grant_id in (select grant_id from oidc.grant where client_id = p_client_id);
  update oidc.grant set revoked_at = p_now where client_id = p_client_id and revoked_at is null;
  return true;
end $function$
;

CREATE OR REPLACE FUNCTION clients.enter_third_party(p_client_id text, p_profile text, p_name text, p_metadata jsonb, p_now timestamp with time zone)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  insert into clients.client (client_id, profile, name, first_party, metadata, status, created_at, updated_at)
  values (p_client_id, p_profile, p_name, false, p_metadata, 'active', p_now, p_now)
$function$
;

CREATE OR REPLACE FUNCTION clients.use_initial_access_token(p_token_hash bytea, p_now timestamp with time zone)
 RETURNS text[]
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  update clients.initial_access_token set uses_left = uses_left - 1
  where token_hash = p_token_hash and uses_left > 0 and expires_at > p_now
  returning scopes
$function$
;

CREATE OR REPLACE FUNCTION consents.account_of_customer(p_customer_id text, p_scheme_name text, p_identification text)
 RETURNS text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select account_id from ledger.account
  where customer_id = p_customer_id and kind = 'customer' and case p_scheme_name
    when 'UK.OBIE.SortCodeAccountNumber' then sort_code || account_number = p_identification
    when 'UK.OBIE.IBAN' then iban = upper(replace(p_identification, ' ', ''))
    when 'BANKSIDE.AccountId' then account_id = p_identification
    else false end
$function$
;

CREATE OR REPLACE FUNCTION consents.account_to_credit(p_scheme_name text, p_identification text, p_currency text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  case p_scheme_name
    when 'UK.OBIE.SortCodeAccountNumber' then
      return (select account_id from ledger.account
        where sort_code = left(p_identification, 6) and account_number = substr(p_identification, 7)
          and kind = 'customer' and status <> 'closed' and currency = p_currency);
    when 'UK.OBIE.IBAN' then
      return (select account_id from ledger.account
        where iban = upper(replace(p_identification, ' ', '')) and kind = 'customer' and status <> 'closed' and currency = p_currency);
    else
      return null;
  end case;
end $function$
;

CREATE OR REPLACE FUNCTION consents.consent_moves_forward()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if old.deleted_at is not null then
    raise exception 'consent % is deleted', old.consent_id
      using errcode = '23514', constraint = 'consent_deleted_stays_deleted', table = 'consent', schema = 'consents';
  end if;
  if new.status is distinct from old.status
    and not exists (select from consents.transition where kind = old.kind and from_status = old.status and to_status = new.status) then
    raise exception 'consent % cannot move from % to %', old.consent_id, old.status, new.status
      using errcode = '23514', constraint = 'consent_moves_forward', table = 'consent', schema = 'consents';
  end if;
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION consents.consent_pays_whom_it_shows()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if not exists (
    select from ledger.account where account_id = new.creditor_account_id and case new.creditor_scheme_name
      when 'UK.OBIE.SortCodeAccountNumber' then sort_code || account_number = new.creditor_identification
      when 'UK.OBIE.IBAN' then iban = upper(replace(new.creditor_identification, ' ', ''))
      when 'BANKSIDE.AccountId' then new.kind = 'transfer' and account_id = new.creditor_identification
      else false end) then
    raise exception 'consent % pays another account than it shows', new.consent_id
      using errcode = '23514', constraint = 'consent_pays_whom_it_shows', table = 'consent', schema = 'consents';
  end if;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION consents.consent_terms_never_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if (old.consent_id, old.client_id, old.kind, old.created_at, old.request, old.permissions, old.expires_at, old.transaction_from, old.transaction_to,
      old.amount_minor, old.currency, old.creditor_name, old.creditor_scheme_name, old.creditor_identification, old.creditor_account_id, old.reference)
    is distinct from
     (new.consent_id, new.client_id, new.kind, new.created_at, new.request, new.permissions, new.expires_at, new.transaction_from, new.transaction_to,
      new.amount_minor, new.currency, new.creditor_name, new.creditor_scheme_name, new.creditor_identification, new.creditor_account_id, new.reference)
    or (old.customer_id is not null and new.customer_id is distinct from old.customer_id)
    or (old.debtor_account_id is not null and new.debtor_account_id is distinct from old.debtor_account_id) then
    raise exception 'what consent % was given for cannot change', old.consent_id
      using errcode = '23514', constraint = 'consent_terms_never_change', table = 'consent', schema = 'consents';
  end if;
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION consents.end_grant(p_grant_id text, p_now timestamp with time zone)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  update oidc.grant set revoked_at = p_now where grant_id = p_grant_id and revoked_at is null;
  delete from oidc.refresh_token where grant_id = p_grant_id;
  delete from oidc.authorization_code where grant_id = p_grant_id;
$function$
;

CREATE OR REPLACE FUNCTION consents.payee_of_account(p_account_id text)
 RETURNS TABLE(account_id text, currency text, name text, scheme_name text, identification text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select a.account_id, a.currency, party.name, party.scheme_name, party.identification
  from ledger.account a, ledger.party_of(a) party
  where a.account_id = p_account_id and a.kind = 'customer' and a.status <> 'closed'
$function$
;

CREATE OR REPLACE FUNCTION ledger.booking_is_immutable()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  raise exception '% is never changed or removed', tg_table_name
    using errcode = '42501', constraint = tg_table_name || '_is_immutable', schema = 'ledger', table = tg_table_name;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.capture_holds(p_captures jsonb, p_now timestamp with time zone)
 RETURNS TABLE(hold_id text, outcome text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
#variable_conflict use_column
declare
  asked ledger.capture[] := array(
    select row(
      c.hold_id, c.entry_id, c.creditor_account_id, c.payment_id, c.description, c.reference,
      row(c.creditor_name, c.creditor_scheme_name, c.creditor_identification)::ledger.party)::ledger.capture
    from jsonb_to_recordset(p_captures) c (
      hold_id text, entry_id text, creditor_account_id text, payment_id text, description text, reference text,
      creditor_name text, creditor_scheme_name text, creditor_identification text));
  wrong record;
begin
  -- What is read here of a hold never changes; its status is read again once everything is locked.
  perform from ledger.account a where a.account_id in (
    select end_account_id from unnest(asked) c join ledger.hold h using (hold_id), unnest(array[h.account_id, c.creditor_account_id]) end_account_id)
  order by a.account_id for no key update;
  perform from ledger.hold h where h.hold_id in (select c.hold_id from unnest(asked) c) order by h.hold_id for update;

  select h.hold_id, problem into wrong
  from unnest(asked) c join ledger.hold h using (hold_id)
    left join ledger.account creditor on creditor.account_id = c.creditor_account_id and creditor.currency = h.currency
    left join payments.payment p on p.payment_id = c.payment_id,
    lateral (select case
      when h.account_id = c.creditor_account_id then 'transfer_is_between_two_accounts'
      when creditor.account_id is null then 'posting_currency_matches_account'
      when (c.payment_id is not null and (p.hold_id, p.debtor_account_id, p.creditor_account_id, p.amount_minor, p.currency)
          is distinct from (h.hold_id, h.account_id, c.creditor_account_id, h.amount_minor, h.currency))
        or (c.payment_id is null and exists (select from payments.payment p where p.hold_id = h.hold_id))
        then 'capture_is_as_its_payment_says'
      when (select count(*) from unnest(asked) same where same.hold_id = h.hold_id) > 1 then 'hold_is_captured_once'
    end) as judged (problem)
  where problem is not null limit 1;
  if found then
    raise exception 'hold % cannot be captured like this', wrong.hold_id
      using errcode = '23514', constraint = wrong.problem, schema = 'ledger', table = 'hold';
  end if;

  return query
  with judged as materialized (
    select c.position, c.hold_id, c.entry_id, c.payment_id, c.description, c.reference, h.currency, h.amount_minor,
      h.account_id as debtor_id, creditor.account_id as creditor_id, ledger.party_of(debtor) as payer, ledger.party_or(c.told, creditor) as payee,
      case
        when h.status is distinct from 'active' then 'hold_not_active'
        when h.expires_at <= p_now then 'hold_expired'
        when debtor.status <> 'open' or creditor.status = 'closed' then 'account_not_usable'
        else 'captured' end as outcome
    from unnest(asked) with ordinality c (hold_id, entry_id, creditor_account_id, payment_id, description, reference, told, position)
      left join ledger.hold h using (hold_id)
      left join ledger.account debtor on debtor.account_id = h.account_id
      left join ledger.account creditor on creditor.account_id = c.creditor_account_id
  ), entered as (
    insert into ledger.entry (entry_id, kind, currency, description, reference, payment_id, booked_at, value_date)
    select entry_id, 'transfer', currency, description, reference, payment_id, p_now, (p_now at time zone 'Europe/London')::date
    from judged where outcome = 'captured' order by position
  ), leg as materialized (
    select j.position, entry_id, currency, account_id, amount, released, counterparty
    from judged j, lateral (
      values (j.debtor_id, -j.amount_minor, j.amount_minor, j.payee), (j.creditor_id, j.amount_minor, 0, j.payer)
    ) ends (account_id, amount, released, counterparty)
    where outcome = 'captured'
  ), posted as (
    insert into ledger.posting (
      account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
      counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
    select
      leg.account_id, a.posting_count + nth, leg.entry_id, leg.currency, amount, a.posted_minor + added,
      (counterparty).name, (counterparty).scheme_name, (counterparty).identification, greatest(p_now, before.booked_at)
    from (
      select leg.*, row_number() over so_far as nth, sum(amount) over so_far as added
      from leg window so_far as (partition by account_id order by position rows unbounded preceding)
    ) leg
      join ledger.account a using (account_id)
      left join ledger.posting before on (before.account_id, before.posting_number) = (a.account_id, a.posting_count)
    order by leg.account_id, nth
  ), balanced as (
    update ledger.account a
    set posted_minor = a.posted_minor + moved.amount, held_minor = a.held_minor - moved.released, posting_count = a.posting_count + moved.postings
    from (select account_id, sum(amount) as amount, sum(released) as released, count(*) as postings from leg group by account_id) moved
    where a.account_id = moved.account_id
  ), spent as (
    update ledger.hold h set status = 'captured', entry_id = j.entry_id, resolved_at = p_now
    from judged j where j.outcome = 'captured' and h.hold_id = j.hold_id
  )
  select j.hold_id, j.outcome from judged j;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.check_amount(p_amount_minor numeric)
 RETURNS void
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if (p_amount_minor >= 1 and p_amount_minor < 1e37 and p_amount_minor = trunc(p_amount_minor)) is not true then
    raise exception 'an amount is a positive whole number of minor units, not %', p_amount_minor
      using errcode = '23514', constraint = 'amount_is_a_positive_whole_number', schema = 'ledger', table = 'posting';
  end if;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.entry_balances()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if exists (select from ledger.posting where entry_id = new.entry_id group by currency having sum(amount_minor) <> 0) then
    raise exception 'the postings of entry % do not sum to zero', new.entry_id
      using errcode = '23514', constraint = 'entry_balances', schema = 'ledger', table = 'entry';
  end if;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.entry_has_two_postings()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if (select count(*) from ledger.posting where entry_id = new.entry_id) < 2 then
    raise exception 'entry % has fewer than two postings', new.entry_id
      using errcode = '23514', constraint = 'entry_has_two_postings', schema = 'ledger', table = 'entry';
  end if;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.hold_moves_forward()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if old.status <> 'active' or new.status = 'active'
    or (old.hold_id, old.account_id, old.currency, old.amount_minor, old.created_at, old.expires_at)
      is distinct from (new.hold_id, new.account_id, new.currency, new.amount_minor, new.created_at, new.expires_at) then
    raise exception 'hold % cannot change from % to %', old.hold_id, old.status, new.status
      using errcode = '23514', constraint = 'hold_moves_forward', schema = 'ledger', table = 'hold';
  end if;
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.lock_account(p_account_id text, p_currency text)
 RETURNS ledger.account
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  account ledger.account;
begin
  select * into account from ledger.account where account_id = p_account_id and currency = p_currency for no key update;
  if not found then
    raise exception 'no account % in %', p_account_id, p_currency
      using errcode = '23503', constraint = 'posting_currency_matches_account', schema = 'ledger', table = 'posting';
  end if;
  return account;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.open_account(p_account_id text, p_customer_id text, p_kind text, p_currency text, p_nickname text, p_holder_name text, p_type_code text, p_sort_code text, p_account_number text, p_iban text, p_overdraft_minor numeric, p_now timestamp with time zone)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  insert into ledger.account (
    account_id, customer_id, kind, currency, status, nickname, holder_name, type_code, sort_code, account_number, iban,
    posted_minor, held_minor, overdraft_minor, posting_count, opened_at)
  values (
    p_account_id, p_customer_id, p_kind, p_currency, 'open', p_nickname, p_holder_name, p_type_code, p_sort_code, p_account_number, p_iban,
    0, 0, p_overdraft_minor, 0, p_now)
$function$
;

CREATE OR REPLACE FUNCTION ledger.party_of(account ledger.account)
 RETURNS ledger.party
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select row(
    account.holder_name,
    case when account.sort_code is not null then 'UK.OBIE.SortCodeAccountNumber' when account.iban is not null then 'UK.OBIE.IBAN' end,
    coalesce(account.sort_code || account.account_number, account.iban))::ledger.party
$function$
;

CREATE OR REPLACE FUNCTION ledger.party_or(told ledger.party, account ledger.account)
 RETURNS ledger.party
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select row(
    coalesce(told.name, account.holder_name),
    case when told.identification is null then (ledger.party_of(account)).scheme_name else told.scheme_name end,
    coalesce(told.identification, (ledger.party_of(account)).identification))::ledger.party
$function$
;

CREATE OR REPLACE FUNCTION ledger.place_hold(p_hold_id text, p_account_id text, p_amount_minor numeric, p_currency text, p_now timestamp with time zone, p_expires_at timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  account ledger.account;
begin
  perform ledger.check_amount(p_amount_minor);
  if p_expires_at > least(p_now, clock_timestamp()) + interval '7 days' then
    raise exception 'funds cannot be held until %', p_expires_at
      using errcode = '23514', constraint = 'hold_ends_within_seven_days', table = 'hold', schema = 'ledger';
  end if;
  -- Locks and decides in one: whoever waited here sees the row as the other one left it.
  update ledger.account set held_minor = held_minor + p_amount_minor
  where account_id = p_account_id and currency = p_currency and status = 'open'
    and (kind <> 'customer' or posted_minor - held_minor + overdraft_minor >= p_amount_minor);
  if not found then
    account := ledger.lock_account(p_account_id, p_currency);
    return case when account.status = 'open' then 'insufficient_funds' else 'account_not_usable' end;
  end if;

  insert into ledger.hold (hold_id, account_id, currency, amount_minor, status, created_at, expires_at)
  values (p_hold_id, p_account_id, p_currency, p_amount_minor, 'active', p_now, p_expires_at);
  return 'held';
end $function$
;

CREATE OR REPLACE FUNCTION ledger.post(p_entry_id text, p_account ledger.account, p_amount_minor numeric, p_released_minor numeric, p_counterparty ledger.party, p_now timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update ledger.account
  set posted_minor = posted_minor + p_amount_minor, held_minor = held_minor - p_released_minor, posting_count = posting_count + 1
  where account_id = p_account.account_id;

  insert into ledger.posting (
    account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
    counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
  values (
    p_account.account_id, p_account.posting_count + 1, p_entry_id, p_account.currency, p_amount_minor, p_account.posted_minor + p_amount_minor,
    p_counterparty.name, p_counterparty.scheme_name, p_counterparty.identification,
    greatest(p_now, (select booked_at from ledger.posting where account_id = p_account.account_id and posting_number = p_account.posting_count)));
end $function$
;

CREATE OR REPLACE FUNCTION ledger.release_hold(p_hold_id text, p_status text, p_now timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  held ledger.hold;
begin
  if (p_status in ('released', 'expired')) is not true then
    raise exception 'a hold is not released as %', p_status
      using errcode = '23514', constraint = 'hold_is_released_or_expired', schema = 'ledger', table = 'hold';
  end if;
  select * into held from ledger.hold where hold_id = p_hold_id;
  if not found then return 'hold_not_active'; end if;
  perform ledger.lock_account(held.account_id, held.currency);
  select * into held from ledger.hold where hold_id = p_hold_id for update;

  if held.status <> 'active' then return 'hold_not_active'; end if;
  if p_status = 'expired' and held.expires_at > p_now then return 'hold_not_expired'; end if;

  update ledger.account set held_minor = held_minor - held.amount_minor where account_id = held.account_id;
  update ledger.hold set status = p_status, resolved_at = p_now where hold_id = p_hold_id;
  return p_status;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.transfer(p_entry_id text, p_kind text, p_from text, p_to text, p_amount_minor numeric, p_currency text, p_description text, p_reference text, p_debtor ledger.party, p_creditor ledger.party, p_now timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  debtor ledger.account;
  creditor ledger.account;
begin
  perform ledger.check_amount(p_amount_minor);
  if p_from < p_to then
    debtor := ledger.lock_account(p_from, p_currency);
    creditor := ledger.lock_account(p_to, p_currency);
  elsif p_from > p_to then
    creditor := ledger.lock_account(p_to, p_currency);
    debtor := ledger.lock_account(p_from, p_currency);
  else
    raise exception 'from and to are one account'
      using errcode = '23514', constraint = 'transfer_is_between_two_accounts', schema = 'ledger', table = 'entry';
  end if;

  if debtor.status <> 'open' or creditor.status = 'closed' then return 'account_not_usable'; end if;
  if debtor.kind = 'customer' and debtor.posted_minor - debtor.held_minor + debtor.overdraft_minor < p_amount_minor then
    return 'insufficient_funds';
  end if;

  insert into ledger.entry (entry_id, kind, currency, description, reference, booked_at, value_date)
  values (p_entry_id, p_kind, p_currency, p_description, p_reference, p_now, (p_now at time zone 'Europe/London')::date);
  perform ledger.post(p_entry_id, debtor, -p_amount_minor, 0, ledger.party_or(p_creditor, creditor), p_now);
  perform ledger.post(p_entry_id, creditor, p_amount_minor, 0, ledger.party_or(p_debtor, debtor), p_now);
  return 'posted';
end $function$
;

CREATE OR REPLACE FUNCTION payments.claim_idempotency_key(p_client_id text, p_method text, p_endpoint text, p_key text, p_request_hash bytea, p_resource_id text, p_now timestamp with time zone, p_forget_before timestamp with time zone, OUT outcome text, OUT resource_id text)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '250ms'
AS $function$
declare
  first payments.idempotent_request;
begin
  loop
    insert into payments.idempotent_request (client_id, method, endpoint, key, request_hash, resource_id, created_at)
    values (p_client_id, p_method, p_endpoint, p_key, p_request_hash, p_resource_id, p_now) on conflict do nothing;
    if found then outcome := 'claimed'; return; end if;

    select * into first from payments.idempotent_request r
    where r.client_id = p_client_id and r.method = p_method and r.endpoint = p_endpoint and r.key = p_key;
    -- Forgotten by the worker in between, or old enough to be: the key is free again.
    if not found then continue; end if;
    if first.created_at > p_forget_before then
      outcome := case when first.request_hash = p_request_hash then 'replayed' else 'reused' end;
      resource_id := case when first.request_hash = p_request_hash then first.resource_id end;
      return;
    end if;
    update payments.idempotent_request r set request_hash = p_request_hash, resource_id = p_resource_id, created_at = p_now
    where r.client_id = p_client_id and r.method = p_method and r.endpoint = p_endpoint and r.key = p_key and r.created_at = first.created_at;
    if found then outcome := 'claimed'; return; end if;
  end loop;
end $function$
;

CREATE OR REPLACE FUNCTION payments.payment_is_as_consented()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if not exists (
    select from consents.consent c, ledger.account creditor
    where c.consent_id = new.consent_id and c.status = 'COND' and c.kind = case new.channel when 'bank_api' then 'transfer' else 'domestic_payment' end
      and (c.client_id, c.customer_id, c.debtor_account_id, c.amount_minor, c.currency, c.creditor_name, c.creditor_scheme_name, c.creditor_identification)
        = (new.client_id, new.customer_id, new.debtor_account_id, new.amount_minor, new.currency,
          new.creditor_name, new.creditor_scheme_name, new.creditor_identification)
      and creditor.account_id = new.creditor_account_id
      and case
        when c.creditor_account_id is not null then creditor.account_id = c.creditor_account_id
        when creditor.account_number is null and creditor.iban is null then creditor.kind = 'settlement' and creditor.currency = c.currency
        when c.creditor_scheme_name = 'UK.OBIE.IBAN' then creditor.iban = upper(replace(c.creditor_identification, ' ', ''))
        else creditor.sort_code || creditor.account_number = c.creditor_identification
      end) then
    raise exception 'payment % differs from its consent', new.payment_id
      using errcode = '23514', constraint = 'payment_is_as_consented', table = 'payment', schema = 'payments';
  end if;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION payments.payment_moves_forward()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if tg_op = 'INSERT' then
    if new.status = 'posted' then
      raise exception 'payment % cannot begin as posted', new.payment_id
        using errcode = '23514', constraint = 'payment_begins_held_or_rejected', table = 'payment', schema = 'payments';
    end if;
    return new;
  end if;
  if old.status <> 'held' or new.status = 'held' then
    raise exception 'payment % cannot move from % to %', old.payment_id, old.status, new.status
      using errcode = '23514', constraint = 'payment_moves_forward', table = 'payment', schema = 'payments';
  end if;
  return new;
end $function$
;

CREATE TRIGGER record_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.record FOR EACH STATEMENT EXECUTE FUNCTION audit.record_is_append_only();

CREATE TRIGGER consent_moves_forward BEFORE UPDATE ON consents.consent FOR EACH ROW EXECUTE FUNCTION consents.consent_moves_forward();

CREATE TRIGGER consent_pays_whom_it_shows AFTER INSERT ON consents.consent FOR EACH ROW WHEN (new.creditor_account_id IS NOT NULL) EXECUTE FUNCTION consents.consent_pays_whom_it_shows();

CREATE TRIGGER consent_terms_never_change BEFORE UPDATE OF consent_id, client_id, kind, created_at, request, permissions, expires_at, transaction_from, transaction_to, amount_minor, currency, creditor_name, creditor_scheme_name, creditor_identification, creditor_account_id, reference, customer_id, debtor_account_id ON consents.consent FOR EACH ROW EXECUTE FUNCTION consents.consent_terms_never_change();

CREATE CONSTRAINT TRIGGER entry_has_two_postings AFTER INSERT ON ledger.entry DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger.entry_has_two_postings();

CREATE TRIGGER entry_is_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.entry FOR EACH STATEMENT EXECUTE FUNCTION ledger.booking_is_immutable();

CREATE TRIGGER hold_moves_forward BEFORE UPDATE ON ledger.hold FOR EACH ROW EXECUTE FUNCTION ledger.hold_moves_forward();

CREATE CONSTRAINT TRIGGER entry_balances AFTER INSERT ON ledger.posting DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger.entry_balances();

CREATE TRIGGER posting_is_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.posting FOR EACH STATEMENT EXECUTE FUNCTION ledger.booking_is_immutable();

CREATE TRIGGER payment_is_as_consented AFTER INSERT ON payments.payment FOR EACH ROW EXECUTE FUNCTION payments.payment_is_as_consented();

CREATE TRIGGER payment_moves_forward BEFORE INSERT OR UPDATE ON payments.payment FOR EACH ROW EXECUTE FUNCTION payments.payment_moves_forward();

alter table consents.consent enable row level security;

create policy auth_server_decides on consents.consent for UPDATE to bankside_auth_server using (true) with check (((status <> 'COND'::text) AND (deleted_at IS NULL)));

create policy auth_server_lodges on consents.consent for INSERT to bankside_auth_server using () with check (((status = 'AWAU'::text) AND (grant_id IS NULL) AND ((kind = 'transfer'::text) OR (customer_id IS NULL))));

create policy everyone_reads on consents.consent for SELECT to public using (true) with check ();

create policy resource_api_lodges on consents.consent for INSERT to bankside_resource_api using () with check (((kind <> 'transfer'::text) AND (status = 'AWAU'::text) AND (customer_id IS NULL) AND (grant_id IS NULL)));

create policy resource_api_spends on consents.consent for UPDATE to bankside_resource_api using (true) with check (((status <> 'AUTH'::text) OR (deleted_at IS NOT NULL)));

create policy worker_lets_expire on consents.consent for UPDATE to bankside_worker using (true) with check ((status = ANY (ARRAY['RJCT'::text, 'EXPD'::text])));

grant delete on customers.sca_challenge to bankside_worker;
grant delete on customers.session to bankside_worker;
grant delete on customers.sign_in_attempt to bankside_worker;
grant delete on oidc."grant" to bankside_worker;
grant delete on oidc.authorization_code to bankside_worker;
grant delete on oidc.interaction to bankside_worker;
grant delete on oidc.journey to bankside_worker;
grant delete on oidc.pushed_authorization_request to bankside_worker;
grant delete on oidc.refresh_token to bankside_worker;
grant delete on oidc.revoked_token to bankside_worker;
grant delete on oidc.session to bankside_worker;
grant delete on oidc.used_identifier to bankside_worker;
grant delete, insert, select on consents.consent_account to bankside_auth_server;
grant delete, insert, select, update on customers.session to bankside_auth_server;
grant delete, insert, select, update on customers.sign_in_attempt to bankside_auth_server;
grant delete, insert, select, update on oidc."grant" to bankside_auth_server;
grant delete, insert, select, update on oidc.authorization_code to bankside_auth_server;
grant delete, insert, select, update on oidc.interaction to bankside_auth_server;
grant delete, insert, select, update on oidc.journey to bankside_auth_server;
grant delete, insert, select, update on oidc.pushed_authorization_request to bankside_auth_server;
grant delete, insert, select, update on oidc.refresh_token to bankside_auth_server;
grant delete, insert, select, update on oidc.session to bankside_auth_server;
grant delete, insert, select, update on oidc.used_identifier to bankside_auth_server;
grant delete, select on customers.totp_step_used to bankside_worker;
grant delete, select on payments.idempotent_request to bankside_worker;
grant execute on function clients.change_third_party(p_client_id text, p_name text, p_metadata jsonb, p_now timestamp with time zone) to bankside_auth_server;
grant execute on function clients.end_third_party(p_client_id text, p_now timestamp with time zone) to bankside_auth_server;
grant execute on function clients.enter_third_party(p_client_id text, p_profile text, p_name text, p_metadata jsonb, p_now timestamp with time zone) to bankside_auth_server;
grant execute on function clients.use_initial_access_token(p_token_hash bytea, p_now timestamp with time zone) to bankside_auth_server;
grant execute on function consents.account_of_customer(p_customer_id text, p_scheme_name text, p_identification text) to bankside_auth_server;
grant execute on function consents.account_to_credit(p_scheme_name text, p_identification text, p_currency text) to bankside_auth_server;
grant execute on function consents.account_to_credit(p_scheme_name text, p_identification text, p_currency text) to bankside_resource_api;
grant execute on function consents.end_grant(p_grant_id text, p_now timestamp with time zone) to bankside_auth_server;
grant execute on function consents.end_grant(p_grant_id text, p_now timestamp with time zone) to bankside_resource_api;
grant execute on function consents.end_grant(p_grant_id text, p_now timestamp with time zone) to bankside_worker;
grant execute on function consents.payee_of_account(p_account_id text) to bankside_auth_server;
grant execute on function ledger.capture_holds(p_captures jsonb, p_now timestamp with time zone) to bankside_worker;
grant execute on function ledger.place_hold(p_hold_id text, p_account_id text, p_amount_minor numeric, p_currency text, p_now timestamp with time zone, p_expires_at timestamp with time zone) to bankside_resource_api;
grant execute on function ledger.release_hold(p_hold_id text, p_status text, p_now timestamp with time zone) to bankside_worker;
grant execute on function payments.claim_idempotency_key(p_client_id text, p_method text, p_endpoint text, p_key text, p_request_hash bytea, p_resource_id text, p_now timestamp with time zone, p_forget_before timestamp with time zone, OUT outcome text, OUT resource_id text) to bankside_resource_api;
grant insert on audit.record to bankside_auth_server;
grant insert on audit.record to bankside_resource_api;
grant insert on audit.record to bankside_worker;
grant insert on events.event to bankside_auth_server;
grant insert on events.event to bankside_resource_api;
grant insert, select on clients.registration to bankside_auth_server;
grant insert, select on clients.remote_document to bankside_auth_server;
grant insert, select on consents.consent to bankside_resource_api;
grant insert, select on customers.beneficiary to bankside_resource_api;
grant insert, select on customers.sca_challenge to bankside_auth_server;
grant insert, select on customers.totp_step_used to bankside_auth_server;
grant insert, select on events.event to bankside_worker;
grant insert, select on events.notification to bankside_worker;
grant insert, select on oidc.revoked_token to bankside_auth_server;
grant insert, select on oidc.used_identifier to bankside_resource_api;
grant insert, select on payments.idempotent_request to bankside_resource_api;
grant insert, select on payments.payment to bankside_resource_api;
grant insert, select, update on consents.consent to bankside_auth_server;
grant select on clients.client (column client_id) to bankside_resource_api;
grant select on clients.client (column created_at) to bankside_resource_api;
grant select on clients.client (column first_party) to bankside_resource_api;
grant select on clients.client (column name) to bankside_resource_api;
grant select on clients.client (column profile) to bankside_resource_api;
grant select on clients.client (column status) to bankside_resource_api;
grant select on clients.client (column updated_at) to bankside_resource_api;
grant select on clients.client to bankside_auth_server;
grant select on clients.remote_document to bankside_resource_api;
grant select on consents.account_to_show to bankside_auth_server;
grant select on consents.consent to bankside_worker;
grant select on consents.consent_account to bankside_resource_api;
grant select on consents.consent_account to bankside_worker;
grant select on consents.transition to bankside_auth_server;
grant select on consents.transition to bankside_resource_api;
grant select on consents.transition to bankside_worker;
grant select on customers.beneficiary to bankside_auth_server;
grant select on customers.customer (column created_at) to bankside_resource_api;
grant select on customers.customer (column customer_id) to bankside_resource_api;
grant select on customers.customer (column email) to bankside_resource_api;
grant select on customers.customer (column email_verified) to bankside_resource_api;
grant select on customers.customer (column full_name) to bankside_resource_api;
grant select on customers.customer (column phone) to bankside_resource_api;
grant select on customers.customer to bankside_auth_server;
grant select on customers.sca_challenge (column challenge_id) to bankside_worker;
grant select on customers.sca_challenge (column expires_at) to bankside_worker;
grant select on customers.session (column expires_at) to bankside_worker;
grant select on customers.session (column session_hash) to bankside_worker;
grant select on customers.sign_in_attempt (column locked_until) to bankside_worker;
grant select on customers.sign_in_attempt (column updated_at) to bankside_worker;
grant select on customers.sign_in_attempt (column username_hash) to bankside_worker;
grant select on events.notification to bankside_auth_server;
grant select on ledger.account to bankside_resource_api;
grant select on ledger.account to bankside_worker;
grant select on ledger.currency to bankside_resource_api;
grant select on ledger.currency to bankside_worker;
grant select on ledger.entry to bankside_resource_api;
grant select on ledger.entry to bankside_worker;
grant select on ledger.hold to bankside_resource_api;
grant select on ledger.hold to bankside_worker;
grant select on ledger.posting to bankside_resource_api;
grant select on ledger.posting to bankside_worker;
grant select on oidc."grant" (column client_id) to bankside_resource_api;
grant select on oidc."grant" (column created_at) to bankside_resource_api;
grant select on oidc."grant" (column customer_id) to bankside_resource_api;
grant select on oidc."grant" (column expires_at) to bankside_resource_api;
grant select on oidc."grant" (column expires_at) to bankside_worker;
grant select on oidc."grant" (column grant_id) to bankside_resource_api;
grant select on oidc."grant" (column grant_id) to bankside_worker;
grant select on oidc."grant" (column revoked_at) to bankside_resource_api;
grant select on oidc.authorization_code (column expires_at) to bankside_worker;
grant select on oidc.authorization_code (column id_hash) to bankside_worker;
grant select on oidc.interaction (column expires_at) to bankside_worker;
grant select on oidc.interaction (column id_hash) to bankside_worker;
grant select on oidc.journey (column expires_at) to bankside_worker;
grant select on oidc.journey (column journey_hash) to bankside_worker;
grant select on oidc.pushed_authorization_request (column expires_at) to bankside_worker;
grant select on oidc.pushed_authorization_request (column id_hash) to bankside_worker;
grant select on oidc.refresh_token (column expires_at) to bankside_worker;
grant select on oidc.refresh_token (column id_hash) to bankside_worker;
grant select on oidc.revoked_token (column expires_at) to bankside_worker;
grant select on oidc.revoked_token (column token_hash) to bankside_worker;
grant select on oidc.revoked_token to bankside_resource_api;
grant select on oidc.session (column expires_at) to bankside_worker;
grant select on oidc.session (column id_hash) to bankside_worker;
grant select on oidc.used_identifier (column expires_at) to bankside_worker;
grant select on oidc.used_identifier (column id_hash) to bankside_worker;
grant select on payments.payment to bankside_worker;
grant update on clients.registration (column request) to bankside_auth_server;
grant update on clients.registration (column updated_at) to bankside_auth_server;
grant update on clients.remote_document (column body) to bankside_auth_server;
grant update on clients.remote_document (column fetched_at) to bankside_auth_server;
grant update on consents.consent (column deleted_at) to bankside_resource_api;
grant update on consents.consent (column status) to bankside_resource_api;
grant update on consents.consent (column status) to bankside_worker;
grant update on consents.consent (column status_reason_code) to bankside_resource_api;
grant update on consents.consent (column status_reason_code) to bankside_worker;
grant update on consents.consent (column status_reason_description) to bankside_resource_api;
grant update on consents.consent (column status_reason_description) to bankside_worker;
grant update on consents.consent (column status_updated_at) to bankside_resource_api;
grant update on consents.consent (column status_updated_at) to bankside_worker;
grant update on customers.sca_challenge (column answered_at) to bankside_auth_server;
grant update on customers.sca_challenge (column spent_at) to bankside_auth_server;
grant update on events.event (column attempts) to bankside_worker;
grant update on events.event (column dead_at) to bankside_worker;
grant update on events.event (column delivered_at) to bankside_worker;
grant update on events.event (column last_error) to bankside_worker;
grant update on events.event (column next_attempt_at) to bankside_worker;
grant update on payments.idempotent_request (column created_at) to bankside_resource_api;
grant update on payments.idempotent_request (column request_hash) to bankside_resource_api;
grant update on payments.idempotent_request (column resource_id) to bankside_resource_api;
grant update on payments.payment (column entry_id) to bankside_worker;
grant update on payments.payment (column rejection_reason) to bankside_worker;
grant update on payments.payment (column status) to bankside_worker;
grant update on payments.payment (column status_updated_at) to bankside_worker;
grant usage on schema audit to bankside_auth_server;
grant usage on schema audit to bankside_resource_api;
grant usage on schema audit to bankside_worker;
grant usage on schema clients to bankside_auth_server;
grant usage on schema clients to bankside_resource_api;
grant usage on schema clients to bankside_worker;
grant usage on schema consents to bankside_auth_server;
grant usage on schema consents to bankside_resource_api;
grant usage on schema consents to bankside_worker;
grant usage on schema customers to bankside_auth_server;
grant usage on schema customers to bankside_resource_api;
grant usage on schema customers to bankside_worker;
grant usage on schema events to bankside_auth_server;
grant usage on schema events to bankside_resource_api;
grant usage on schema events to bankside_worker;
grant usage on schema ledger to bankside_resource_api;
grant usage on schema ledger to bankside_worker;
grant usage on schema oidc to bankside_auth_server;
grant usage on schema oidc to bankside_resource_api;
grant usage on schema oidc to bankside_worker;
grant usage on schema payments to bankside_resource_api;
grant usage on schema payments to bankside_worker;
