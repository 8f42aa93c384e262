-- Made from the migrations by "node sandbox/run.mjs sandbox/dump-schema.ts". Do not edit.

create schema audit;
create schema clients;
create schema consents;
create schema customers;
create schema events;
create schema housekeeping;
create schema ledger;
create schema oidc;
create schema payments;

create table audit.archive (
  partition_name text not null,
  first_key text not null,
  before_key text not null,
  log integer not null,
  before_xact bigint not null,
  row_count bigint not null,
  file_name text not null,
  sha256 text not null,
  archived_at timestamp with time zone not null,
  constraint archive_file_has_a_short_name CHECK ((file_name ~ '^[a-z0-9._-]{1,100}$'::text)),
  constraint archive_has_a_length CHECK (((first_key < before_key) AND (row_count >= 0))),
  constraint archive_pkey PRIMARY KEY (partition_name),
  constraint archive_sha_256_is_hexadecimal CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);

create table audit.checkpoint (
  tree_size bigint not null,
  note text not null,
  signed_at timestamp with time zone not null,
  log integer default 1 not null,
  constraint checkpoint_is_short CHECK ((length(note) <= 4096)),
  constraint checkpoint_of_a_size_is_signed_once PRIMARY KEY (log, tree_size)
);

create table audit.record (
  record_id text not null,
  occurred_at timestamp with time zone not null,
  actor text not null,
  action text not null,
  subject text not null,
  interaction_id text,
  details jsonb not null,
  written_in bigint default ((pg_current_xact_id())::text)::bigint not null,
  constraint record_id_is_prefixed CHECK ((starts_with(record_id, 'aud_'::text) AND (length(record_id) = 36))),
  constraint record_pkey PRIMARY KEY (record_id)
) partition by RANGE (record_id);

create table audit.seal (
  first_leaf bigint not null,
  leaf_count integer not null,
  from_xact bigint not null,
  before_xact bigint not null,
  ends_round boolean not null,
  sealed_at timestamp with time zone not null,
  salt bytea not null,
  leaf_hashes bytea not null,
  row_index bytea not null,
  log integer default 1 not null,
  first_table smallint,
  first_key text,
  constraint seal_has_a_hash_for_each_leaf CHECK ((length(leaf_hashes) = (32 * leaf_count))),
  constraint seal_has_leaves CHECK (((first_leaf >= 0) AND ((leaf_count >= 1) AND (leaf_count <= 4096)))),
  constraint seal_is_placed_once PRIMARY KEY (log, first_leaf),
  constraint seal_round_goes_forward CHECK ((from_xact < before_xact)),
  constraint seal_salt_is_long CHECK ((length(salt) = 32))
);

create table audit.sealing (
  only_one boolean not null,
  constraint sealing_is_one_row CHECK (only_one),
  constraint sealing_pkey PRIMARY KEY (only_one)
);

create table audit.tree_node (
  level integer not null,
  "position" bigint not null,
  hash bytea not null,
  log integer default 1 not null,
  constraint tree_node_hash_is_sha_256 CHECK ((length(hash) = 32)),
  constraint tree_node_is_placed_once PRIMARY KEY (log, level, "position"),
  constraint tree_node_level_within_range CHECK (((level >= 8) AND (level <= 48)))
);

create table clients.certificate (
  client_id text not null,
  thumbprint text not null,
  serial_number text not null,
  issuer text not null,
  expires_at timestamp with time zone not null,
  first_seen_at timestamp with time zone not null,
  warned_at timestamp with time zone,
  constraint certificate_client_id_fkey FOREIGN KEY (client_id) REFERENCES clients.client(client_id),
  constraint certificate_is_noted_once PRIMARY KEY (client_id, thumbprint),
  constraint certificate_issuer_is_short CHECK ((length(issuer) <= 1000))
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
  organisation text generated always as ((metadata ->> 'organisation'::text)) stored,
  organisation_id text generated always as (((metadata -> 'organisation'::text) ->> 'id'::text)) stored,
  withdrawn_at timestamp with time zone,
  licensed_roles text[],
  constraint client_id_is_not_a_subject CHECK (((client_id ~ '^[A-Za-z0-9._-]{4,64}$'::text) AND (client_id !~ '^cus_'::text))),
  constraint client_is_withdrawn_by_a_register CHECK (((status <> 'withdrawn'::text) OR (withdrawn_at IS NOT NULL))),
  constraint client_pkey PRIMARY KEY (client_id),
  constraint client_profile_is_known CHECK ((profile = ANY (ARRAY['fapi2_sp'::text, 'fapi2_ms'::text, 'fapi1_adv_hybrid'::text, 'fapi1_adv_jarm'::text, 'fapi_ciba'::text, 'resource_server'::text]))),
  constraint client_status_is_known CHECK ((status = ANY (ARRAY['active'::text, 'blocked'::text, 'deleted'::text, 'withdrawn'::text]))),
  constraint client_withdrawn_does_not_act CHECK (((withdrawn_at IS NULL) OR (status <> 'active'::text)))
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

create table clients.register_entry (
  directory text not null,
  organisation_id text not null,
  status text,
  roles text[],
  answered_at timestamp with time zone,
  created_at timestamp with time zone not null,
  next_ask_at timestamp with time zone not null,
  last_error text,
  constraint register_entry_error_is_short CHECK ((length(last_error) <= 200)),
  constraint register_entry_is_answered CHECK (((status IS NULL) = (answered_at IS NULL))),
  constraint register_entry_is_one_per_organisation PRIMARY KEY (directory, organisation_id),
  constraint register_entry_status_is_known CHECK ((status = ANY (ARRAY['active'::text, 'withdrawn'::text])))
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
  managed_grant_id text,
  managed_since timestamp with time zone,
  confirmed_limits text[] default '{}'::text[] not null,
  authorised_device text,
  constraint consent_client_id_fkey FOREIGN KEY (client_id) REFERENCES clients.client(client_id),
  constraint consent_creditor_account_id_fkey FOREIGN KEY (creditor_account_id) REFERENCES ledger.account(account_id),
  constraint consent_currency_fkey FOREIGN KEY (currency) REFERENCES ledger.currency(currency),
  constraint consent_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers.customer(customer_id),
  constraint consent_debtor_account_id_fkey FOREIGN KEY (debtor_account_id) REFERENCES ledger.account(account_id),
  constraint consent_pkey PRIMARY KEY (consent_id)
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
  event_number bigint default nextval('events.event_number'::regclass) not null,
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
  constraint event_id_is_prefixed CHECK ((starts_with(event_id, 'evt_'::text) AND (length(event_id) = 36))),
  constraint event_is_not_both_delivered_and_dead CHECK (((delivered_at IS NULL) OR (dead_at IS NULL))),
  constraint event_is_waiting_delivered_or_dead CHECK (((next_attempt_at IS NULL) = ((delivered_at IS NOT NULL) OR (dead_at IS NOT NULL)))),
  constraint event_pkey PRIMARY KEY (event_id)
) partition by RANGE (event_id);

create table events.notification (
  event_id text not null,
  customer_id text not null,
  occurred_at timestamp with time zone not null,
  type text not null,
  payload jsonb not null,
  constraint notification_pkey PRIMARY KEY (event_id)
) partition by RANGE (event_id);

create table housekeeping.analysed_table (
  schema_name text not null,
  table_name text not null,
  analysed_at timestamp with time zone not null,
  constraint analysed_table_is_named_once PRIMARY KEY (schema_name, table_name)
);

create table housekeeping.generation (
  schema_name text not null,
  table_name text not null,
  generation integer not null,
  begun_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  constraint generation_ends_after_it_began CHECK ((ended_at >= begun_at)),
  constraint generation_is_numbered_once PRIMARY KEY (schema_name, table_name, generation),
  constraint generation_is_of_a_remembering_table FOREIGN KEY (schema_name, table_name) REFERENCES housekeeping.remembering_table(schema_name, table_name)
);

create table housekeeping.partition (
  schema_name text not null,
  table_name text not null,
  partition_name text not null,
  from_time timestamp with time zone not null,
  before_time timestamp with time zone not null,
  constraint partition_has_a_length CHECK ((from_time < before_time)),
  constraint partition_is_named_once PRIMARY KEY (schema_name, partition_name),
  constraint partition_is_of_a_partitioned_table FOREIGN KEY (schema_name, table_name) REFERENCES housekeeping.partitioned_table(schema_name, table_name)
);

create table housekeeping.partitioned_table (
  schema_name text not null,
  table_name text not null,
  id_prefix text,
  width text not null,
  made_ahead interval not null,
  kept interval,
  stays text,
  dropped_to timestamp with time zone default '-infinity'::timestamp with time zone not null,
  stored_with text,
  archived_after interval,
  constraint partitioned_table_is_named_once PRIMARY KEY (schema_name, table_name),
  constraint partitioned_table_width_is_known CHECK ((width = ANY (ARRAY['hour'::text, 'month'::text, 'year'::text])))
);

create table housekeeping.remembering_table (
  schema_name text not null,
  table_name text not null,
  begun_every interval not null,
  kept interval not null,
  constraint remembering_table_is_named_once PRIMARY KEY (schema_name, table_name)
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
  last_booked_at timestamp with time zone,
  frozen_for text,
  constraint account_currency_fkey FOREIGN KEY (currency) REFERENCES ledger.currency(currency),
  constraint account_currency_is_fixed UNIQUE (account_id, currency),
  constraint account_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers.customer(customer_id),
  constraint account_iban_is_unique UNIQUE (iban),
  constraint account_number_is_unique UNIQUE (sort_code, account_number),
  constraint account_pkey PRIMARY KEY (account_id),
  constraint account_within_overdraft CHECK (((kind <> 'customer'::text) OR (((posted_minor - held_minor) + overdraft_minor) >= '0'::numeric)))
) with (fillfactor=60);

create table ledger.currency (
  currency text not null,
  minor_digits integer not null,
  constraint currency_code_is_iso_4217 CHECK ((currency ~ '^[A-Z]{3}$'::text)),
  constraint currency_digits_are_fixed UNIQUE (currency, minor_digits),
  constraint currency_minor_digits_within_range CHECK (((minor_digits >= 0) AND (minor_digits <= 18))),
  constraint currency_pkey PRIMARY KEY (currency)
);

create table ledger.entry (
  entry_id text not null,
  kind text not null,
  currency text,
  description text not null,
  reference text not null,
  payment_id text,
  reverses text,
  booked_at timestamp with time zone not null,
  value_date date not null,
  hold_id text,
  actor text,
  interaction_id text,
  written_in bigint default ((pg_current_xact_id())::text)::bigint not null,
  constraint entry_pkey PRIMARY KEY (entry_id)
) partition by RANGE (entry_id);

create table ledger.exchange (
  entry_id text not null,
  sold_currency text not null,
  sold_digits integer not null,
  sold_minor numeric(38,0) not null,
  priced_minor numeric(38,0) not null,
  bought_currency text not null,
  bought_digits integer not null,
  bought_minor numeric(38,0) not null,
  price_units numeric(38,0) not null,
  price_scale integer not null,
  source text not null,
  quoted_at timestamp with time zone not null,
  constraint exchange_bought_currency_has_these_digits FOREIGN KEY (bought_currency, bought_digits) REFERENCES ledger.currency(currency, minor_digits),
  constraint exchange_buys_something CHECK ((bought_minor > (0)::numeric)),
  constraint exchange_is_rounded_down CHECK ((bought_minor = ledger.worth(sold_minor, price_units, price_scale, sold_digits, bought_digits))),
  constraint exchange_pkey PRIMARY KEY (entry_id),
  constraint exchange_rate_is_on_record FOREIGN KEY (sold_currency, bought_currency, source, quoted_at) REFERENCES ledger.rate(base_currency, quote_currency, source, quoted_at),
  constraint exchange_residue_is_all_that_buys_nothing CHECK ((((priced_minor >= (1)::numeric) AND (priced_minor <= sold_minor)) AND (ledger.worth(priced_minor, price_units, price_scale, sold_digits, bought_digits) = bought_minor) AND (ledger.worth((priced_minor - (1)::numeric), price_units, price_scale, sold_digits, bought_digits) < bought_minor))),
  constraint exchange_sold_currency_has_these_digits FOREIGN KEY (sold_currency, sold_digits) REFERENCES ledger.currency(currency, minor_digits)
) partition by RANGE (entry_id);

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
  captured_minor numeric(38,0) default 0 not null,
  placed_for text default 'payment'::text not null,
  constraint hold_amount_is_positive CHECK ((amount_minor > (0)::numeric)),
  constraint hold_captured_has_an_entry CHECK (((status = 'captured'::text) = (entry_id IS NOT NULL))),
  constraint hold_captures_at_most_its_amount CHECK (((captured_minor >= (0)::numeric) AND (captured_minor <= amount_minor))),
  constraint hold_id_is_prefixed CHECK ((starts_with(hold_id, 'hld_'::text) AND (length(hold_id) = 36))),
  constraint hold_is_placed_for_something_known CHECK ((placed_for = ANY (ARRAY['payment'::text, 'movement'::text]))),
  constraint hold_pkey PRIMARY KEY (hold_id),
  constraint hold_resolved_has_a_time CHECK (((status = 'active'::text) = (resolved_at IS NULL))),
  constraint hold_status_is_known CHECK ((status = ANY (ARRAY['active'::text, 'captured'::text, 'released'::text, 'expired'::text])))
) partition by RANGE (hold_id);

create table ledger.movement (
  movement_key uuid not null,
  request_hash bytea not null,
  made text not null,
  made_at timestamp with time zone not null,
  written_in bigint default ((pg_current_xact_id())::text)::bigint not null,
  released text,
  generation integer default 1 not null,
  constraint movement_is_made_once PRIMARY KEY (movement_key, generation)
) partition by LIST (generation);

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
  constraint posting_is_numbered_by_account PRIMARY KEY (account_id, booked_at, posting_number) INCLUDE (entry_id, currency, amount_minor, balance_minor)
) partition by RANGE (booked_at);

create table ledger.rate (
  base_currency text not null,
  quote_currency text not null,
  source text not null,
  quoted_at timestamp with time zone not null,
  price_units numeric(38,0) not null,
  price_scale integer not null,
  constraint rate_base_currency_fkey FOREIGN KEY (base_currency) REFERENCES ledger.currency(currency),
  constraint rate_is_between_two_currencies CHECK ((base_currency <> quote_currency)),
  constraint rate_is_quoted_once PRIMARY KEY (base_currency, quote_currency, source, quoted_at),
  constraint rate_price_is_positive CHECK ((price_units > (0)::numeric)),
  constraint rate_price_scale_within_range CHECK (((price_scale >= 0) AND (price_scale <= 18))),
  constraint rate_quote_currency_fkey FOREIGN KEY (quote_currency) REFERENCES ledger.currency(currency)
);

create table ledger.reconciliation (
  scope text not null,
  began_at timestamp with time zone,
  finished_at timestamp with time zone,
  settled_before bigint not null,
  discrepancies jsonb not null,
  constraint reconciliation_is_one_of_a_scope PRIMARY KEY (scope),
  constraint reconciliation_scope_is_known CHECK ((scope = ANY (ARRAY['whole'::text, 'recent'::text])))
);

create table ledger.transaction_numbers (
  only_one boolean not null,
  added bigint not null,
  constraint transaction_numbers_added_is_never_less CHECK ((added >= 0)),
  constraint transaction_numbers_is_one_row CHECK (only_one),
  constraint transaction_numbers_pkey PRIMARY KEY (only_one)
);

create table oidc.authorization_code (
  id_hash bytea not null,
  grant_id text not null,
  payload text not null,
  consumed_at timestamp with time zone,
  expires_at timestamp with time zone not null,
  constraint authorization_code_pkey PRIMARY KEY (id_hash)
);

create table oidc.backchannel_authentication_request (
  id_hash bytea not null,
  request_id text not null,
  client_id text not null,
  customer_id text not null,
  consent_id text,
  binding_message text,
  payload text not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  interval_seconds integer not null,
  polled_at timestamp with time zone,
  outcome text,
  decided_at timestamp with time zone,
  grant_id text,
  answer text,
  consumed_at timestamp with time zone,
  constraint backchannel_answer_is_of_a_decision CHECK (((answer IS NULL) = ((outcome IS NULL) OR (outcome = 'expired'::text)))),
  constraint backchannel_approval_has_a_grant CHECK (((NOT (outcome IS DISTINCT FROM 'approved'::text)) = (grant_id IS NOT NULL))),
  constraint backchannel_authentication_request_pkey PRIMARY KEY (id_hash),
  constraint backchannel_only_an_approval_is_consumed CHECK (((consumed_at IS NULL) OR (outcome = 'approved'::text))),
  constraint backchannel_outcome_has_a_time CHECK (((outcome IS NULL) = (decided_at IS NULL))),
  constraint backchannel_outcome_is_known CHECK ((outcome = ANY (ARRAY['approved'::text, 'denied'::text, 'expired'::text]))),
  constraint backchannel_request_id_is_prefixed CHECK ((request_id ~ '^bar_[0-9a-f]{32}$'::text)),
  constraint backchannel_request_id_is_unique UNIQUE (request_id)
);

create table oidc.backchannel_logout (
  logout_id text not null,
  client_id text not null,
  customer_id text not null,
  sid text,
  created_at timestamp with time zone not null,
  attempts integer not null,
  next_attempt_at timestamp with time zone,
  delivered_at timestamp with time zone,
  dead_at timestamp with time zone,
  last_error text,
  constraint backchannel_logout_pkey PRIMARY KEY (logout_id),
  constraint logout_id_is_prefixed CHECK ((logout_id ~ '^lgo_[0-9a-f]{32}$'::text)),
  constraint logout_is_not_both_delivered_and_dead CHECK (((delivered_at IS NULL) OR (dead_at IS NULL))),
  constraint logout_is_waiting_delivered_or_dead CHECK (((next_attempt_at IS NULL) = ((delivered_at IS NOT NULL) OR (dead_at IS NOT NULL))))
);

create table oidc.backchannel_notification (
  request_id text not null,
  client_id text not null,
  endpoint text not null,
  secrets_sealed bytea not null,
  expires_at timestamp with time zone not null,
  attempts integer not null,
  next_attempt_at timestamp with time zone,
  delivered_at timestamp with time zone,
  given_up_at timestamp with time zone,
  last_error text,
  constraint backchannel_notification_pkey PRIMARY KEY (request_id),
  constraint notification_is_not_both_delivered_and_given_up CHECK (((delivered_at IS NULL) OR (given_up_at IS NULL))),
  constraint notification_that_is_over_is_not_due CHECK (((next_attempt_at IS NULL) OR ((delivered_at IS NULL) AND (given_up_at IS NULL))))
);

create table oidc."grant" (
  grant_id text not null,
  client_id text not null,
  customer_id text not null,
  payload text not null,
  created_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  expires_at timestamp with time zone not null,
  claim_before timestamp with time zone,
  session_hash bytea,
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
  seal text not null,
  constraint journey_pkey PRIMARY KEY (journey_hash)
);

create table oidc.prompted_customer (
  customer_id text not null,
  prompted_at timestamp with time zone not null,
  constraint prompted_customer_pkey PRIMARY KEY (customer_id)
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

create table oidc.used_proof (
  hour timestamp with time zone not null,
  id_hash bytea not null,
  constraint proof_is_used_once PRIMARY KEY (hour, id_hash)
) partition by RANGE (hour);

create table payments.idempotent_request (
  client_id text not null,
  method text not null,
  endpoint text not null,
  key text not null,
  request_hash bytea not null,
  resource_id text not null,
  created_at timestamp with time zone not null,
  generation integer default 1 not null,
  constraint idempotent_request_is_claimed_once PRIMARY KEY (client_id, method, endpoint, key, generation),
  constraint idempotent_request_key_within_length CHECK (((length(key) >= 1) AND (length(key) <= 40)))
) partition by LIST (generation);

create table payments.known_to_customer (
  customer_id text not null,
  kind text not null,
  fingerprint text not null,
  first_paid_at timestamp with time zone not null,
  constraint known_kind_is_known CHECK ((kind = ANY (ARRAY['payee'::text, 'device'::text]))),
  constraint known_to_customer_once PRIMARY KEY (customer_id, kind, fingerprint)
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
  limit_id text,
  step text,
  lease integer default 0 not null,
  lease_until timestamp with time zone,
  risk_score integer,
  risk_reasons jsonb,
  constraint payment_limit_id_fkey FOREIGN KEY (limit_id) REFERENCES payments.spending_limit(limit_id),
  constraint payment_one_per_consent UNIQUE (consent_id),
  constraint payment_pkey PRIMARY KEY (payment_id)
) with (fillfactor=70);

create table payments.risk_rule (
  rule_id text not null,
  fact text not null,
  at_least numeric(38,0),
  below numeric(38,0),
  points integer not null,
  words text not null,
  constraint risk_fact_is_known CHECK ((fact = ANY (ARRAY['amount'::text, 'paid_in_a_day'::text, 'payments_in_an_hour'::text, 'new_payee'::text, 'new_device'::text, 'hour'::text]))),
  constraint risk_rule_pkey PRIMARY KEY (rule_id)
);

create table payments.risk_threshold (
  verdict text not null,
  at_least integer not null,
  constraint risk_threshold_pkey PRIMARY KEY (verdict),
  constraint risk_verdict_is_known CHECK ((verdict = ANY (ARRAY['review'::text, 'refuse'::text])))
);

create table payments.spending_limit (
  limit_id text not null,
  set_by text not null,
  scope text not null,
  subject_id text,
  channel text,
  period text not null,
  window_hours integer,
  currency text not null,
  most_minor numeric(38,0) not null,
  is_soft boolean not null,
  set_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  constraint limit_channel_is_known CHECK ((channel = ANY (ARRAY['uk_v4'::text, 'bank_api'::text]))),
  constraint limit_ends_after_it_was_set CHECK ((ended_at >= set_at)),
  constraint limit_id_is_prefixed CHECK ((limit_id ~ '^lim_[0-9a-f]{32}$'::text)),
  constraint limit_is_not_negative CHECK ((most_minor >= (0)::numeric)),
  constraint limit_is_set_by_bank_or_customer CHECK ((set_by = ANY (ARRAY['bank'::text, 'customer'::text]))),
  constraint limit_of_a_customer_names_its_subject CHECK (((set_by = 'bank'::text) OR ((subject_id IS NOT NULL) AND (scope <> 'consent'::text)))),
  constraint limit_period_is_known CHECK ((period = ANY (ARRAY['payment'::text, 'day'::text, 'month'::text, 'window'::text]))),
  constraint limit_scope_is_known CHECK ((scope = ANY (ARRAY['account'::text, 'customer'::text, 'consent'::text]))),
  constraint limit_subject_fits_its_scope CHECK (((subject_id IS NULL) OR (subject_id ~ (('^'::text ||
CASE scope
    WHEN 'account'::text THEN 'acc'::text
    WHEN 'customer'::text THEN 'cus'::text
    ELSE 'con'::text
END) || '_[0-9a-f]{32}$'::text)))),
  constraint limit_that_is_soft_is_a_customers CHECK (((NOT is_soft) OR (set_by = 'customer'::text))),
  constraint limit_window_has_hours CHECK (((period = 'window'::text) = (window_hours IS NOT NULL))),
  constraint limit_window_within_range CHECK (((window_hours >= 1) AND (window_hours <= 744))),
  constraint spending_limit_currency_fkey FOREIGN KEY (currency) REFERENCES ledger.currency(currency),
  constraint spending_limit_pkey PRIMARY KEY (limit_id)
);

create table payments.spent (
  account_id text not null,
  hour timestamp with time zone not null,
  channel text not null,
  spent_minor numeric(38,0) not null,
  payment_count bigint not null,
  constraint spent_is_counted_by_hour PRIMARY KEY (account_id, hour, channel),
  constraint spent_is_not_negative CHECK (((spent_minor >= (0)::numeric) AND (payment_count >= 0)))
) partition by RANGE (hour);

create table payments.straight_through (
  only_row boolean default true not null,
  is_on boolean not null,
  check_elsewhere boolean default false not null,
  constraint straight_through_is_one_row CHECK (only_row),
  constraint straight_through_passes_no_check CHECK ((NOT (is_on AND check_elsewhere))),
  constraint straight_through_pkey PRIMARY KEY (only_row)
);

CREATE INDEX record_of_subject ON ONLY audit.record USING btree (subject, occurred_at);

CREATE INDEX record_written_in ON ONLY audit.record USING btree (written_in);

CREATE INDEX seal_by_round ON audit.seal USING btree (log, before_xact, first_leaf);

CREATE INDEX certificate_expiry ON clients.certificate USING btree (expires_at);

CREATE INDEX client_of_organisation ON clients.client USING btree (organisation_id) WHERE (organisation_id IS NOT NULL);

CREATE INDEX client_withdrawn ON clients.client USING btree (client_id) WHERE (withdrawn_at IS NOT NULL);

CREATE INDEX register_entry_due ON clients.register_entry USING btree (next_ask_at);

CREATE UNIQUE INDEX registration_one_client_per_software ON clients.registration USING btree (software_issuer, software_id) WHERE ((deleted_at IS NULL) AND (software_id IS NOT NULL));

CREATE INDEX remote_document_age ON clients.remote_document USING btree (fetched_at);

CREATE INDEX consent_authorised_expiry ON consents.consent USING btree (expires_at) WHERE ((status = 'AUTH'::text) AND (expires_at IS NOT NULL));

CREATE INDEX consent_authorised_payment ON consents.consent USING btree (authorised_at) WHERE ((status = 'AUTH'::text) AND (kind <> 'account_access'::text));

CREATE INDEX consent_awaiting_authorisation ON consents.consent USING btree (authorise_before) WHERE (status = 'AWAU'::text);

CREATE INDEX consent_cancelled_expiry ON consents.consent USING btree (expires_at) WHERE ((status = 'CANC'::text) AND (expires_at IS NOT NULL));

CREATE INDEX consent_of_customer ON consents.consent USING btree (customer_id, authorised_at DESC) WHERE (customer_id IS NOT NULL);

CREATE INDEX consent_of_grant ON consents.consent USING btree (grant_id) WHERE (grant_id IS NOT NULL);

CREATE UNIQUE INDEX managed_grant_is_of_one_consent ON consents.consent USING btree (managed_grant_id) WHERE (managed_grant_id IS NOT NULL);

CREATE INDEX customer_by_email ON customers.customer USING btree (lower(email));

CREATE INDEX sca_challenge_expiry ON customers.sca_challenge USING btree (expires_at);

CREATE INDEX session_expiry ON customers.session USING btree (expires_at);

CREATE INDEX sign_in_attempt_age ON customers.sign_in_attempt USING btree (updated_at);

CREATE INDEX totp_step_used_age ON customers.totp_step_used USING btree (used_at);

CREATE INDEX event_dead ON ONLY events.event USING btree (dead_at) WHERE (dead_at IS NOT NULL);

CREATE INDEX event_waiting ON ONLY events.event USING btree (next_attempt_at, event_number) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX event_waiting_of_subject ON ONLY events.event USING btree (subject, event_number) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX notification_of_customer ON ONLY events.notification USING btree (customer_id, occurred_at DESC);

CREATE UNIQUE INDEX generation_is_the_only_one ON housekeeping.generation USING btree (schema_name, table_name) WHERE (ended_at IS NULL);

CREATE INDEX account_of_customer ON ledger.account USING btree (customer_id, account_id) WHERE (customer_id IS NOT NULL);

CREATE INDEX account_of_settlement ON ledger.account USING btree (currency) WHERE (kind = 'settlement'::text);

CREATE INDEX entry_of_hold ON ONLY ledger.entry USING btree (hold_id) WHERE (hold_id IS NOT NULL);

CREATE INDEX entry_of_reversed ON ONLY ledger.entry USING btree (reverses) WHERE (reverses IS NOT NULL);

CREATE INDEX entry_written_in ON ONLY ledger.entry USING btree (written_in);

CREATE INDEX hold_active_expiry ON ONLY ledger.hold USING btree (expires_at) WHERE (status = 'active'::text);

CREATE INDEX movement_by_transaction ON ONLY ledger.movement USING btree (written_in, movement_key);

CREATE INDEX posting_of_entry ON ONLY ledger.posting USING btree (entry_id);

CREATE INDEX authorization_code_expiry ON oidc.authorization_code USING btree (expires_at);

CREATE INDEX authorization_code_of_grant ON oidc.authorization_code USING btree (grant_id);

CREATE INDEX backchannel_logout_age ON oidc.backchannel_logout USING btree (created_at);

CREATE INDEX backchannel_logout_waiting ON oidc.backchannel_logout USING btree (next_attempt_at) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX backchannel_notification_due ON oidc.backchannel_notification USING btree (next_attempt_at) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX backchannel_notification_expiry ON oidc.backchannel_notification USING btree (expires_at);

CREATE INDEX backchannel_request_expiry ON oidc.backchannel_authentication_request USING btree (expires_at);

CREATE UNIQUE INDEX backchannel_request_is_the_open_one_of_its_consent ON oidc.backchannel_authentication_request USING btree (consent_id) WHERE (outcome IS NULL);

CREATE INDEX backchannel_request_of_customer ON oidc.backchannel_authentication_request USING btree (customer_id, created_at);

CREATE INDEX backchannel_request_of_grant ON oidc.backchannel_authentication_request USING btree (grant_id) WHERE (grant_id IS NOT NULL);

CREATE INDEX grant_expiry ON oidc."grant" USING btree (expires_at);

CREATE INDEX grant_of_client ON oidc."grant" USING btree (client_id) WHERE (revoked_at IS NULL);

CREATE INDEX grant_of_session ON oidc."grant" USING btree (session_hash) WHERE (session_hash IS NOT NULL);

CREATE INDEX grant_unclaimed ON oidc."grant" USING btree (claim_before) WHERE (claim_before IS NOT NULL);

CREATE INDEX interaction_expiry ON oidc.interaction USING btree (expires_at);

CREATE INDEX journey_expiry ON oidc.journey USING btree (expires_at);

CREATE INDEX prompted_customer_age ON oidc.prompted_customer USING btree (prompted_at);

CREATE INDEX pushed_authorization_request_expiry ON oidc.pushed_authorization_request USING btree (expires_at);

CREATE INDEX refresh_token_expiry ON oidc.refresh_token USING btree (expires_at);

CREATE INDEX refresh_token_of_grant ON oidc.refresh_token USING btree (grant_id);

CREATE INDEX revoked_token_expiry ON oidc.revoked_token USING btree (expires_at);

CREATE INDEX session_expiry ON oidc.session USING btree (expires_at);

CREATE INDEX used_identifier_expiry ON oidc.used_identifier USING btree (expires_at);

CREATE UNIQUE INDEX limit_is_set_once ON payments.spending_limit USING btree (scope, COALESCE(subject_id, ''::text), set_by, is_soft, COALESCE(channel, ''::text), period, COALESCE(window_hours, 0), currency) WHERE (COALESCE(ended_at, '-infinity'::timestamp with time zone) = '-infinity'::timestamp with time zone);

CREATE INDEX limit_of_customers ON payments.spending_limit USING btree (scope) WHERE ((ended_at IS NULL) AND (scope = 'customer'::text) AND (period <> 'payment'::text));

CREATE INDEX limit_of_everybody ON payments.spending_limit USING btree (scope) WHERE ((ended_at IS NULL) AND (subject_id IS NULL));

CREATE INDEX limit_of_subject ON payments.spending_limit USING btree (subject_id) WHERE (ended_at IS NULL);

CREATE INDEX payment_waiting ON payments.payment USING btree (created_at) WHERE (status = 'held'::text);

CREATE INDEX risk_rule_as_told ON payments.risk_rule USING btree (abs(points) DESC, rule_id);

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

CREATE OR REPLACE FUNCTION audit.account_changed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform audit.record_change(statement_timestamp(), 'account.changed', new.account_id, jsonb_build_object(
    'status', new.status, 'before', old.status, 'overdraftMinor', new.overdraft_minor::text, 'overdraftBefore', old.overdraft_minor::text));
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION audit.drop_archived(p_partition text, p_log integer, p_before_xact bigint, p_row_count bigint, p_file_name text, p_sha256 text, p_record_id text, p_actor text, p_now timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
declare
  old record;
  is_whole boolean;
begin
  select * into old from audit.partitions_to_archive() where partition_name = p_partition;
  if (old.due_at <= least(p_now, statement_timestamp())) is not true then
    raise exception '% is not to be archived before %', p_partition, old.due_at
      using errcode = '23514', constraint = 'archive_is_due', schema = 'audit', table = 'archive';
  end if;
  -- Others read it, and write to other partitions, while it is counted.
  execute format('lock table audit.%I in share row exclusive mode', p_partition);
  execute format('select count(*) = $1 and coalesce(max(written_in) < $2, true) from audit.%I', p_partition) into is_whole using p_row_count, p_before_xact;
  if not is_whole then
    raise exception '% has other rows than were archived', p_partition
      using errcode = '23514', constraint = 'archive_is_whole', schema = 'audit', table = 'archive';
  end if;
  insert into audit.archive values (
    p_partition, old.first_key, old.before_key, p_log, p_before_xact, p_row_count, p_file_name, p_sha256, p_now);
  execute format('alter table audit.record detach partition audit.%I', p_partition);
  execute format('drop table audit.%I', p_partition);
  delete from housekeeping.partition where (schema_name, partition_name) = ('audit', p_partition);
  -- Where it stays, whenever that is.
  insert into audit.record (record_id, occurred_at, actor, action, subject, details)
    select p_record_id, p_now, p_actor, 'records.archived', a.partition_name, to_jsonb(a) - 'archived_at' from audit.archive a where a.partition_name = p_partition;
end $function$
;

CREATE OR REPLACE FUNCTION audit.grant_ended()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform audit.record_change(new.revoked_at, 'grant.ended', new.grant_id, jsonb_build_object('clientId', new.client_id));
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION audit.hold_given_back()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform audit.record_change(new.resolved_at, 'hold.' || new.status, new.hold_id,
    jsonb_build_object('accountId', new.account_id, 'amountMinor', (new.amount_minor - new.captured_minor)::text, 'currency', new.currency));
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION audit.is_archived(p_payment_id text)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select exists (
    select from payments.payment p join consents.consent c using (consent_id)
      cross join lateral (values (p.created_at), (c.created_at)) made (at)
      join audit.archive a on rpad('aud_' || lpad(to_hex((extract(epoch from made.at) * 1000)::bigint), 12, '0'), 36, '0') collate "C" >= a.first_key
        and rpad('aud_' || lpad(to_hex((extract(epoch from made.at) * 1000)::bigint), 12, '0'), 36, '0') collate "C" < a.before_key
    where p.payment_id = p_payment_id)
$function$
;

CREATE OR REPLACE FUNCTION audit.partitions_to_archive()
 RETURNS TABLE(partition_name text, first_key text, before_key text, due_at timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select p.partition_name, bounds.first_key, bounds.before_key, p.before_time + t.archived_after
  from housekeeping.partition p join housekeeping.partitioned_table t using (schema_name, table_name)
    cross join lateral (select
      case p.from_time when '-infinity' then '' else housekeeping.bound(t.id_prefix, p.from_time) end as first_key,
      housekeeping.bound(t.id_prefix, p.before_time) as before_key) bounds
  where (t.schema_name, t.table_name) = ('audit', 'record') and t.archived_after is not null
    and not exists (
      select from audit.record r
      where r.written_in < 0 and r.record_id collate "C" >= bounds.first_key and r.record_id collate "C" < bounds.before_key)
  order by p.before_time
$function$
;

CREATE OR REPLACE FUNCTION audit.rate_recorded()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform audit.record_change(new.quoted_at, 'rate.recorded', new.base_currency || '/' || new.quote_currency,
    jsonb_build_object('source', new.source, 'units', new.price_units::text, 'scale', new.price_scale));
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION audit.record_change(p_at timestamp with time zone, p_action text, p_subject text, p_details jsonb)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  insert into audit.record (record_id, occurred_at, actor, action, subject, details)
  values ('aud_' || lpad(to_hex((extract(epoch from p_at) * 1000)::bigint), 12, '0') || substr(replace(gen_random_uuid()::text, '-', ''), 1, 20),
    p_at, session_user, p_action, p_subject, p_details)
$function$
;

CREATE OR REPLACE FUNCTION audit.record_is_append_only()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception 'the audit log is append-only' using errcode = '42501', constraint = 'record_is_append_only', table = 'record', schema = 'audit';
end $function$
;

CREATE OR REPLACE FUNCTION audit.records_to_prove(p_payment_id text)
 RETURNS TABLE(record_id text, occurred_at timestamp with time zone, actor text, action text, subject text, interaction_id text, details jsonb, written_in bigint)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select r.record_id, r.occurred_at, r.actor, r.action, r.subject, r.interaction_id, r.details, r.written_in
  from payments.payment p join audit.record r on r.subject in (p.payment_id, p.consent_id) where p.payment_id = p_payment_id
  union all
  select r.record_id, r.occurred_at, r.actor, r.action, r.subject, r.interaction_id, r.details, r.written_in
  from audit.record s join audit.record r on r.subject = s.details ->> 'holdId' and r.action like 'hold.%'
  where s.subject = p_payment_id and s.action = 'payment.submitted'
  union all
  select r.record_id, r.occurred_at, r.actor, r.action, r.subject, r.interaction_id, r.details, r.written_in
  from (select log from audit.seal order by log desc limit 1) s join audit.record r on r.written_in = -s.log where s.log > 1
$function$
;

CREATE OR REPLACE FUNCTION audit.seals_to_prove(p_payment_id text)
 RETURNS TABLE(row_key text, log integer, first_leaf bigint, salts bytea, goes_on boolean)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with asked as (
    select 1 as row_table, record_id as row_key, written_in, array[record_id] as contexts from audit.records_to_prove(p_payment_id)
    union all
    select 0, e.entry_id, e.written_in,
      (select array_agg(e.entry_id || '/' || n order by n) from generate_series(0, (select count(*) - 1 from ledger.postings_to_prove(p_payment_id))) n)
        || e.entry_id
    from ledger.entries_to_prove(p_payment_id) e)
  select a.row_key, found.log, found.first_leaf,
    (select string_agg(substr(sha256(found.salt || convert_to(context, 'UTF8')), 1, 16), '' order by n)
      from unnest(a.contexts) with ordinality c (context, n)),
    not found.ends_round and not exists (select from audit.seal later where later.log = found.log and later.first_leaf > found.first_leaf)
  from asked a
    cross join (select s.log from audit.seal s order by s.log desc limit 1) current
    cross join lateral (
      select s.before_xact from audit.seal s where s.log = current.log and s.before_xact > a.written_in order by s.before_xact limit 1) round
    cross join lateral (
      select s.log, s.first_leaf, s.salt, s.ends_round from audit.seal s
      where s.log = current.log and s.before_xact = round.before_xact and s.from_xact <= a.written_in
        and (s.first_key is null or (s.first_table, s.first_key collate "C") <= (a.row_table, a.row_key collate "C"))
      order by s.first_leaf desc limit 1) found
$function$
;

CREATE OR REPLACE FUNCTION audit.tree_is_append_only()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  raise exception 'the audit tree is append-only' using errcode = '42501', constraint = 'tree_is_append_only', table = tg_table_name, schema = 'audit';
end $function$
;

CREATE OR REPLACE FUNCTION clients.apply_register_entry(p_directory text, p_organisation_id text, p_active boolean, p_roles text[], p_now timestamp with time zone, p_next timestamp with time zone)
 RETURNS TABLE(changed_client_id text, changed_from text, changed_to text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  held record;
  becomes text;
begin
  update clients.register_entry set
    status = case when p_active then 'active' else 'withdrawn' end, roles = p_roles, answered_at = p_now, next_ask_at = p_next, last_error = null
  where directory = p_directory and organisation_id = p_organisation_id and (answered_at is null or answered_at <= p_now);
  if not found then
    return;
  end if;
  for held in
    select c.client_id, c.status, c.withdrawn_at, c.licensed_roles from clients.client c join clients.registration r on r.client_id = c.client_id
    where c.organisation_id = p_organisation_id and r.software_issuer = p_directory and r.deleted_at is null and not c.first_party
    order by c.client_id for no key update of c
  loop
    becomes := case when p_active and held.status = 'withdrawn' then 'active' when not p_active and held.status = 'active' then 'withdrawn' else held.status end;
    if becomes <> held.status or (held.withdrawn_at is null) <> p_active or held.licensed_roles is distinct from p_roles then
      update clients.client set
        status = becomes, withdrawn_at = case when p_active then null else coalesce(withdrawn_at, p_now) end, licensed_roles = p_roles, updated_at = p_now
      where client_id = held.client_id;
      changed_client_id := held.client_id;
      changed_from := case when held.withdrawn_at is null then 'active' else 'withdrawn' end;
      changed_to := case when p_active then 'active' else 'withdrawn' end;
      return next;
    end if;
  end loop;
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

CREATE OR REPLACE FUNCTION consents.claim_grant(p_grant_id text)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  update oidc.grant set claim_before = null where grant_id = p_grant_id and claim_before is not null
$function$
;

CREATE OR REPLACE FUNCTION consents.consent_is_well_formed()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  problem text;
begin
  problem := case
    when new.consent_id !~ '^con_[0-9a-f]{32}$' then 'consent_id_is_prefixed'
    when new.kind not in ('account_access', 'domestic_payment', 'transfer') then 'consent_kind_is_known'
    when new.status not in ('AWAU', 'AUTH', 'RJCT', 'COND', 'CANC', 'EXPD') then 'consent_status_is_known'
    when length(new.status_reason_code) > 4 then 'consent_reason_code_is_short'
    when (new.amount_minor is null) <> (new.currency is null) then 'consent_amount_has_a_currency'
    when new.amount_minor <= 0 then 'consent_amount_is_positive'
    when (new.kind = 'account_access') <> (new.amount_minor is null) then 'consent_payment_has_an_amount'
    when (new.kind = 'account_access') <> (new.creditor_name is null) then 'consent_payment_has_a_creditor'
    when new.kind = 'account_access' and new.status = 'COND' then 'consent_only_payments_are_consumed'
    when new.status in ('AUTH', 'COND', 'CANC') and (new.customer_id is null or new.authorised_at is null) then 'consent_authorised_has_a_customer'
    when new.kind <> 'account_access' and new.status in ('AUTH', 'COND') and new.debtor_account_id is null then 'consent_authorised_payment_has_a_debtor'
    when new.managed_grant_id !~ '^gnt_[0-9a-f]{32}$' then 'managed_grant_id_is_prefixed'
    when new.managed_grant_id is not null and new.managed_since is null then 'managed_grant_has_a_beginning'
    when new.managed_grant_id is not null and new.customer_id is null then 'managed_grant_is_of_a_customer'
  end;
  if problem is not null then
    raise exception 'consent % is not well formed: %', new.consent_id, problem
      using errcode = '23514', constraint = problem, table = 'consent', schema = 'consents';
  end if;
  return new;
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

CREATE OR REPLACE FUNCTION customers.reseal_totp_secrets(p_customer_ids text[], p_before bytea[], p_after bytea[])
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with resealed as (
    update customers.customer c set totp_secret_sealed = given.after
    from unnest(p_customer_ids, p_before, p_after) as given (customer_id, before, after)
    where c.customer_id = given.customer_id and c.totp_secret_sealed = given.before
    returning 1)
  select count(*) from resealed
$function$
;

CREATE OR REPLACE FUNCTION events.all_or_nothing(p_done bigint, p_wanted bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if p_done is distinct from p_wanted then
    raise exception '% of % changes were there to be made', p_done, p_wanted
      using errcode = '23514', constraint = 'all_or_nothing', schema = 'events';
  end if;
end $function$
;

CREATE OR REPLACE FUNCTION housekeeping.analyse_next(p_skip integer DEFAULT 0)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
declare
  due record;
begin
  select n.nspname as schema_name, c.relname as table_name into due
  from pg_partitioned_table p join pg_class c on c.oid = p.partrelid join pg_namespace n on n.oid = c.relnamespace
    left join housekeeping.analysed_table a on (a.schema_name, a.table_name) = (n.nspname, c.relname)
  where coalesce(a.analysed_at, '-infinity') < statement_timestamp() - interval '1 day' order by a.analysed_at nulls first, c.relname offset p_skip limit 1;
  if not found then
    return null;
  end if;
  execute format('analyze %I.%I', due.schema_name, due.table_name);
  insert into housekeeping.analysed_table values (due.schema_name, due.table_name, statement_timestamp())
    on conflict on constraint analysed_table_is_named_once do update set analysed_at = excluded.analysed_at;
  return format('%s.%s', due.schema_name, due.table_name);
end $function$
;

CREATE OR REPLACE FUNCTION housekeeping.begin_generation(p_now timestamp with time zone, p_skip integer DEFAULT 0)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '100ms'
AS $function$
declare
  last record;
  next_name text;
begin
  select g.* into last
  from housekeeping.generation g join housekeeping.remembering_table t using (schema_name, table_name)
  where g.ended_at is null and g.begun_at + t.begun_every <= least(p_now, statement_timestamp())
  order by g.begun_at offset p_skip limit 1 for update of g skip locked;
  if not found then
    return null;
  end if;
  next_name := last.table_name || '_' || last.generation + 1;
  perform housekeeping.make_table_like(last.schema_name, last.table_name, next_name, null);
  execute format('lock table %I.%I in access exclusive mode', last.schema_name, last.table_name);
  execute format('alter table %1$I.%2$I attach partition %1$I.%3$I for values in (%4$s)', last.schema_name, last.table_name, next_name, last.generation + 1);
  execute format('alter table only %I.%I alter column generation set default %s', last.schema_name, last.table_name, last.generation + 1);
  update housekeeping.generation set ended_at = clock_timestamp()
    where (schema_name, table_name, generation) = (last.schema_name, last.table_name, last.generation);
  insert into housekeeping.generation values (last.schema_name, last.table_name, last.generation + 1, clock_timestamp(), null);
  return format('%s.%s', last.schema_name, next_name);
end $function$
;

CREATE OR REPLACE FUNCTION housekeeping.bound(id_prefix text, at timestamp with time zone)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
  select case when id_prefix is null then at::text
    else id_prefix || lpad(to_hex(greatest((extract(epoch from at) * 1000)::bigint, 0)), 12, '0') end
$function$
;

CREATE OR REPLACE FUNCTION housekeeping.bound_after(width text, at timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case width when 'hour' then date_trunc('hour', at, 'UTC') + interval '1 hour'
    when 'month' then date_trunc('month', date_trunc('month', at, 'UTC') + interval '32 days', 'UTC')
    else date_trunc('year', date_trunc('year', at, 'UTC') + interval '370 days', 'UTC') end
$function$
;

CREATE OR REPLACE FUNCTION housekeeping.drop_generation(p_now timestamp with time zone, p_skip integer DEFAULT 0)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '100ms'
AS $function$
declare
  old record;
begin
  select g.* into old
  from housekeeping.generation g join housekeeping.remembering_table t using (schema_name, table_name)
  where g.ended_at + t.kept <= least(p_now, statement_timestamp())
  order by g.ended_at offset p_skip limit 1 for update of g skip locked;
  if not found then
    return null;
  end if;
  execute format('drop table %I.%I', old.schema_name, old.table_name || '_' || old.generation);
  delete from housekeeping.generation where (schema_name, table_name, generation) = (old.schema_name, old.table_name, old.generation);
  return format('%s.%s_%s', old.schema_name, old.table_name, old.generation);
end $function$
;

CREATE OR REPLACE FUNCTION housekeeping.drop_partition(p_now timestamp with time zone, p_skip integer DEFAULT 0)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
declare
  old record;
begin
  select p.*, t.stays into old
  from housekeeping.partition p join housekeeping.partitioned_table t using (schema_name, table_name)
  where p.before_time + t.kept <= least(p_now, statement_timestamp())
  order by p.before_time offset p_skip limit 1 for update of p skip locked;
  if not found then
    return null;
  end if;
  execute format('alter table %1$I.%2$I detach partition %1$I.%3$I', old.schema_name, old.table_name, old.partition_name);
  if old.stays is not null then
    execute format('insert into %1$I.%2$I select * from %1$I.%3$I where %4$s', old.schema_name, old.table_name, old.partition_name, old.stays);
  end if;
  execute format('drop table %I.%I', old.schema_name, old.partition_name);
  delete from housekeeping.partition where schema_name = old.schema_name and partition_name = old.partition_name;
  update housekeeping.partitioned_table set dropped_to = greatest(dropped_to, old.before_time)
    where schema_name = old.schema_name and table_name = old.table_name;
  return format('%s.%s', old.schema_name, old.partition_name);
end $function$
;

CREATE OR REPLACE FUNCTION housekeeping.generation_state()
 RETURNS TABLE(name text, begun_at timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format('%s.%s', schema_name, table_name), max(begun_at) from housekeeping.generation group by schema_name, table_name order by 1
$function$
;

CREATE OR REPLACE FUNCTION housekeeping.hand_over_privileges(p_from regclass, p_to regclass)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  given record;
begin
  for given in
    select grantee::regrole as role, privilege_type, null as column_name from pg_class c, aclexplode(c.relacl) where c.oid = p_from and grantee <> c.relowner
    union all
    select grantee::regrole, privilege_type, attname from pg_attribute a, aclexplode(a.attacl) where a.attrelid = p_from
  loop
    execute format('grant %s%s on %s to %s', given.privilege_type, ' (' || quote_ident(given.column_name) || ')', p_to, given.role);
    execute format('revoke %s%s on %s from %s', given.privilege_type, ' (' || quote_ident(given.column_name) || ')', p_from, given.role);
  end loop;
end $function$
;

CREATE OR REPLACE FUNCTION housekeeping.key_of(p_schema text, p_table text)
 RETURNS name
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select attname from pg_partitioned_table p join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
  where p.partrelid = format('%I.%I', p_schema, p_table)::regclass
$function$
;

CREATE OR REPLACE FUNCTION housekeeping.make_next_partition(p_now timestamp with time zone, p_skip integer DEFAULT 0)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  wanted record;
  at timestamptz;
  covered_to timestamptz;
  skipped integer := 0;
  asked timestamptz := greatest(least(p_now, statement_timestamp() + interval '1 year'), statement_timestamp());
begin
  -- Others who come meanwhile find it done.
  perform from housekeeping.partitioned_table for update;
  for wanted in select * from housekeeping.partitioned_table order by width, schema_name, table_name loop
    at := date_trunc(wanted.width, asked, 'UTC');
    while at < asked + wanted.made_ahead loop
      covered_to := (
        select before_time from housekeeping.partition p
        where (p.schema_name, p.table_name) = (wanted.schema_name, wanted.table_name) and p.from_time <= at and p.before_time > at);
      if covered_to is null and skipped < p_skip then
        skipped := skipped + 1;
        exit;
      end if;
      if covered_to is null then
        perform housekeeping.make_partition(wanted.schema_name, wanted.table_name, at, housekeeping.bound_after(wanted.width, at));
        return format('%s.%s from %s', wanted.schema_name, wanted.table_name, at);
      end if;
      at := covered_to;
    end loop;
  end loop;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION housekeeping.make_partition(p_schema text, p_table text, p_from timestamp with time zone, p_before timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
declare
  wanted housekeeping.partitioned_table := (
    select t from housekeeping.partitioned_table t where schema_name = p_schema and table_name = p_table);
  name text := p_table || '_' || to_char(p_from at time zone 'UTC', case wanted.width when 'hour' then 'YYYYMMDDHH24' when 'month' then 'YYYYMM' else 'YYYY' end);
  other_name text := p_table || '_other';
  first_key text := housekeeping.bound(wanted.id_prefix, p_from);
  next_key text := housekeeping.bound(wanted.id_prefix, p_before);
  waiting text := format('select exists (select from %I.%I where %3$I >= %4$L and %3$I < %5$L)',
    p_schema, other_name, housekeeping.key_of(p_schema, p_table), first_key, next_key);
  is_late boolean;
  others_wait boolean;
begin
  execute waiting into is_late;
  others_wait := is_late or p_from <= statement_timestamp() + interval '10 minutes';
  if others_wait then
    execute format('lock table %I.%I in share row exclusive mode', p_schema, p_table);
  end if;
  perform housekeeping.make_table_like(p_schema, p_table, name, wanted.stored_with);
  execute format('lock table %I.%I in access exclusive mode', p_schema, other_name);
  execute waiting into is_late;
  if is_late and not others_wait then
    raise exception 'rows for % come already: another time', name using errcode = '55P03';
  end if;
  if is_late then
    execute format('alter table %I.%I disable trigger user', p_schema, other_name);
    execute format('alter table %I.%I disable trigger user', p_schema, name);
    execute format('with moved as (delete from %1$I.%2$I where %4$I >= %5$L and %4$I < %6$L returning *) insert into %1$I.%3$I select * from moved',
      p_schema, other_name, name, housekeeping.key_of(p_schema, p_table), first_key, next_key);
    execute format('alter table %I.%I enable trigger user', p_schema, other_name);
    execute format('alter table %I.%I enable trigger user', p_schema, name);
  end if;
  execute format('alter table %1$I.%2$I attach partition %1$I.%3$I for values from (%4$L) to (%5$L)', p_schema, p_table, name, first_key, next_key);
  insert into housekeeping.partition values (p_schema, p_table, name, p_from, p_before);
end $function$
;

CREATE OR REPLACE FUNCTION housekeeping.make_table_like(p_schema text, p_table text, p_name text, p_stored_with text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  suffix text := substr(p_name, length(p_table) + 2);
  held record;
begin
  execute format('create table %1$I.%2$I (like %1$I.%3$I including defaults including constraints including storage)%4$s',
    p_schema, p_name, p_table, ' with (' || p_stored_with || ')');
  for held in
    select c.conname, pg_get_constraintdef(c.oid) as definition from pg_constraint c
    where c.conrelid = format('%I.%I', p_schema, p_table)::regclass and c.contype in ('p', 'u')
  loop
    execute format('alter table %I.%I add constraint %I %s', p_schema, p_name, held.conname || '__' || suffix, held.definition);
  end loop;
  for held in
    select pg_get_triggerdef(t.oid) as definition from pg_trigger t
    where t.tgrelid = format('%I.%I', p_schema, p_table)::regclass and not t.tgisinternal and t.tgtype & 1 = 0
  loop
    execute replace(held.definition, format(' ON %I.%I ', p_schema, p_table), format(' ON %I.%I ', p_schema, p_name));
  end loop;
end $function$
;

CREATE OR REPLACE FUNCTION housekeeping.partition_state(p_now timestamp with time zone)
 RETURNS TABLE(name text, made_to timestamp with time zone, misplaced integer)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  wanted record;
begin
  for wanted in
    select t.*, max(p.before_time) as made_to
    from housekeeping.partitioned_table t left join housekeeping.partition p using (schema_name, table_name)
    group by t.schema_name, t.table_name order by t.schema_name, t.table_name
  loop
    name := format('%s.%s', wanted.schema_name, wanted.table_name);
    made_to := wanted.made_to;
    execute format('select count(*) from (select from %I.%I where %3$I >= %4$L and %3$I < %5$L limit 1000) recent',
      wanted.schema_name, wanted.table_name || '_other', housekeeping.key_of(wanted.schema_name, wanted.table_name),
      housekeeping.bound(wanted.id_prefix, p_now - wanted.made_ahead), housekeeping.bound(wanted.id_prefix, p_now + wanted.made_ahead))
      into misplaced;
    return next;
  end loop;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.account_held_is_not_negative()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  raise exception 'less than nothing is held on account %', new.account_id
    using errcode = '23514', constraint = 'account_held_is_not_negative', schema = 'ledger', table = 'account';
end $function$
;

CREATE OR REPLACE FUNCTION ledger.account_is_well_formed()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  wrong text := case
    when new.account_id !~ '^acc_[0-9a-f]{32}$' then 'account_id_is_prefixed'
    when new.kind not in ('customer', 'internal', 'settlement', 'fee', 'suspense', 'position', 'equity') then 'account_kind_is_known'
    when new.status not in ('open', 'frozen', 'closed') then 'account_status_is_known'
    when (new.kind = 'customer') <> (new.customer_id is not null) then 'account_customer_kind_has_a_customer'
    when new.type_code not in ('CACC', 'SVGS', 'OTHR') then 'account_type_code_is_iso_20022'
    when (new.sort_code is null) <> (new.account_number is null) then 'account_sort_code_and_number_come_together'
    when new.sort_code !~ '^[0-9]{6}$' then 'account_sort_code_is_six_digits'
    when new.account_number !~ '^[0-9]{8}$' then 'account_number_is_eight_digits'
    when new.overdraft_minor < 0 then 'account_overdraft_is_not_negative'
  end;
begin
  if wrong is not null then
    raise exception 'account % is not well formed', new.account_id
      using errcode = '23514', constraint = wrong, schema = 'ledger', table = 'account';
  end if;
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.account_takes_nothing_until_reconciled()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if new.posted_minor <> old.posted_minor then
    raise exception 'account % is frozen: its books do not agree', old.account_id
      using errcode = '23514', constraint = 'account_takes_nothing_until_reconciled', schema = 'ledger', table = 'account';
  end if;
  return null;
end $function$
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

CREATE OR REPLACE FUNCTION ledger.close_account(p_account_id text, p_rest_to text, p_entry_id text, p_actor text, p_now timestamp with time zone, OUT word text, OUT rest_minor numeric)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  closing ledger.account;
  heir ledger.account;
  locked ledger.account;
begin
  for locked in select * from ledger.account a where a.account_id in (p_account_id, p_rest_to) order by a.account_id for no key update loop
    if locked.account_id = p_account_id then closing := locked; else heir := locked; end if;
  end loop;
  rest_minor := closing.posted_minor;
  word := case
    when closing.account_id is null or closing.kind <> 'customer' then 'account_not_found'
    when closing.status = 'closed' then 'account_closed_already'
    when closing.status <> 'open' then 'account_not_usable'
    when closing.held_minor <> 0 then 'account_has_holds'
    when closing.posted_minor < 0 then 'account_is_overdrawn'
    when closing.posted_minor > 0 and p_rest_to is null then 'rest_needs_an_account'
    when p_rest_to is not null and (heir.status <> 'closed' and heir.currency = closing.currency) is not true then 'rest_account_not_usable'
  end;
  if word is not null then return; end if;

  if closing.posted_minor > 0 then
    select outcome[1] into word from ledger.write(
      p_now, '-infinity', null, null, null, null, array[p_account_id, p_rest_to],
      array[1], array['closing'], array[p_entry_id], null, null, null, array[closing.currency], null, null, null, array['Account closed'], array[p_account_id],
      null, null, null, array[p_actor], null,
      array[1, 1], array[1, 2], array[2, 1], null, array[-closing.posted_minor, closing.posted_minor], null, null, null, null);
    if word <> 'done' then return; end if;
  end if;
  update ledger.account set status = 'closed' where account_id = p_account_id;
  word := 'closed';
end $function$
;

CREATE OR REPLACE FUNCTION ledger.count_transactions_on()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '500ms'
AS $function$
declare
  counted text[];
  counted_table text;
  found bigint;
  highest bigint;
  block constant bigint := 4294967296;
begin
  select array_agg(format('%I.%I', n.nspname, c.relname) order by 1) into counted
  from pg_attribute a join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  where a.attname = 'written_in' and c.relkind in ('r', 'p') and not c.relispartition;
  select greatest(n.added + pg_current_xact_id()::text::bigint, (select max(before_xact) from audit.seal),
    (select max(settled_before) from ledger.reconciliation)) into highest from ledger.transaction_numbers n;
  foreach counted_table in array counted loop
    execute format('lock table %s in access exclusive mode', counted_table);
    execute format('select max(written_in) from %s', counted_table) into found;
    highest := greatest(highest, found);
  end loop;
  highest := (highest / block + 1) * block;
  foreach counted_table in array counted loop
    execute format('alter table %s alter column written_in set default (pg_current_xact_id()::text::bigint + %s)', counted_table, highest);
  end loop;
  update ledger.transaction_numbers set added = highest;
  return highest;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.entries_to_prove(p_payment_id text)
 RETURNS TABLE(entry_id text, kind text, currency text, description text, reference text, payment_id text, reverses text, hold_id text, booked_at timestamp with time zone, value_date date, actor text, interaction_id text, written_in bigint)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select e.entry_id, e.kind, e.currency, e.description, e.reference, e.payment_id, e.reverses, e.hold_id, e.booked_at, e.value_date, e.actor,
    e.interaction_id, e.written_in
  from payments.payment p join ledger.entry e on e.entry_id = p.entry_id where p.payment_id = p_payment_id
$function$
;

CREATE OR REPLACE FUNCTION ledger.entry_is_sound()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  wrong text := case
    when not (starts_with(new.entry_id, 'ent_') and length(new.entry_id) = 36) then 'entry_id_is_prefixed'
    when new.kind not in ('opening', 'transfer', 'reversal', 'exchange', 'closing') then 'entry_kind_is_known'
    when new.currency is null and new.kind not in ('exchange', 'reversal', 'transfer') then 'entry_of_one_currency_names_it'
    when (new.kind = 'reversal') <> (new.reverses is not null) then 'entry_reversal_names_what_it_reverses'
    when new.value_date > (new.booked_at at time zone 'Europe/London')::date then 'entry_value_date_is_not_after_booking'
    -- One posting alone would not sum to zero.
    when not exists (select from ledger.posting p where p.entry_id = new.entry_id) then 'entry_has_two_postings'
    -- All that was ever taken back of an entry, account by account, is at most what it booked, and the other way round.
    when new.reverses is not null and ledger.reversed_beyond(array[new.reverses]) is not null then 'entry_is_reversed_once_over'
  end;
begin
  if wrong is not null then perform ledger.raise_unsound(wrong, 'entry'); end if;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.entry_posts_a_payment_once()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if new.kind <> 'reversal'
    and not exists (select from payments.payment p where p.payment_id = new.payment_id and p.entry_id = new.entry_id) then
    raise exception 'payment % names another entry than %, or none', new.payment_id, new.entry_id
      using errcode = '23514', constraint = 'entry_posts_a_payment_once', schema = 'ledger', table = 'entry';
  end if;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.freeze_account(p_account_id text, p_why text)
 RETURNS boolean
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with frozen as (
    update ledger.account set status = 'frozen', frozen_for = p_why
    where account_id = p_account_id and kind = 'customer' and status <> 'closed' and frozen_for is null returning 1)
  select exists (select from frozen)
$function$
;

CREATE OR REPLACE FUNCTION ledger.hold_currency_matches_account()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if exists (
    select from new_hold n
    where not exists (select from ledger.account a where a.account_id = n.account_id and a.currency = n.currency offset 0)) then
    raise exception 'a hold is not in the currency of its account'
      using errcode = '23503', constraint = 'hold_currency_matches_account', table = 'hold', schema = 'ledger';
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
  if old.status <> 'active' or new.captured_minor < old.captured_minor or (new.status = 'active' and new.captured_minor = old.captured_minor)
    or (old.hold_id, old.account_id, old.currency, old.amount_minor, old.created_at, old.expires_at)
      is distinct from (new.hold_id, new.account_id, new.currency, new.amount_minor, new.created_at, new.expires_at) then
    raise exception 'hold % cannot change from % to %', old.hold_id, old.status, new.status
      using errcode = '23514', constraint = 'hold_moves_forward', schema = 'ledger', table = 'hold';
  end if;
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.legs_of_holds(p_now timestamp with time zone, p_movement integer[], p_kind text[], p_id text[], p_target text[], p_account_id text[], p_amount_minor numeric[], p_name text[], p_scheme_name text[], p_identification text[])
 RETURNS SETOF ledger.leg
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with taken as materialized (
    select o.*, h.account_id as debtor_id, h.currency, h.amount_minor - h.captured_minor as remaining,
      coalesce(o.asked, h.amount_minor - h.captured_minor) as amount,
      case
        when h.status is distinct from 'active' then 'hold_not_active'
        when o.kind = 'expire' and h.expires_at > p_now then 'hold_not_expired'
        when o.kind in ('release', 'expire') then null
        when h.expires_at <= p_now then 'hold_expired'
        when o.asked > h.amount_minor - h.captured_minor then 'hold_exceeded'
        when h.account_id = o.account_id then 'account_not_usable'
      end as problem
    from unnest(p_movement, p_kind, p_id, p_target, p_account_id, p_amount_minor, p_name, p_scheme_name, p_identification)
        with ordinality o (movement, kind, id, target, account_id, asked, name, scheme_name, identification, operation)
      left join ledger.hold h on h.hold_id = o.target
    where o.kind in ('capture', 'capture_part', 'release', 'expire')
  )
  select movement, operation::integer, id, debtor_id, currency, case when kind in ('release', 'expire') then 0 else -amount end,
    case when kind = 'capture_part' then -amount else -remaining end, account_id, name, scheme_name, identification, problem
  from taken
  union all
  select movement, operation::integer, id, account_id, currency, amount, 0, debtor_id, null, null, null, problem
  from taken where kind in ('capture', 'capture_part')
$function$
;

CREATE OR REPLACE FUNCTION ledger.legs_of_reversals(p_movement integer[], p_kind text[], p_id text[], p_target text[], p_amount_minor numeric[], p_leg_operation integer[], p_leg_account_id text[], p_leg_amount_minor numeric[])
 RETURNS SETOF ledger.leg
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with reversal as materialized (
    select o.movement, o.operation::integer, o.id, o.target, o.asked, o.operation::integer = any (p_leg_operation) as has_legs,
      coalesce(e.kind in ('opening', 'transfer', 'exchange'), false) as reversible
    from unnest(p_movement, p_kind, p_id, p_target, p_amount_minor) with ordinality o (movement, kind, id, target, asked, operation)
      left join ledger.entry e on e.entry_id = o.target
    where o.kind = 'reversal'
  ), booked as materialized (
    select r.operation, p.account_id, min(p.currency) as currency, sum(p.amount_minor) as remaining,
      sum(p.amount_minor) filter (where p.entry_id = r.target) as original,
      min(p.counterparty_name) filter (where p.entry_id = r.target) as name,
      min(p.counterparty_scheme_name) filter (where p.entry_id = r.target) as scheme_name,
      min(p.counterparty_identification) filter (where p.entry_id = r.target) as identification,
      count(*) over (partition by r.operation) as accounts
    from reversal r
      join lateral (select r.target union all select e.entry_id from ledger.entry e where e.reverses = r.target) part (entry_id) on true
      join ledger.posting p on p.entry_id = part.entry_id
    where r.reversible group by r.operation, r.target, p.account_id
  ), judged as materialized (
    select r.*, case
        when not reversible then 'entry_not_reversible'
        when not exists (select from booked b where b.operation = r.operation and b.remaining <> 0) then 'entry_reversed'
        when has_legs and exists (
          select from unnest(p_leg_operation, p_leg_account_id, p_leg_amount_minor) l (operation, account_id, amount_minor)
            left join booked b on b.operation = l.operation and b.account_id = l.account_id
          where l.operation = r.operation and (sign(l.amount_minor) <> -sign(b.remaining) or abs(l.amount_minor) > abs(b.remaining)) is not false)
          then 'reversal_exceeded'
        when not has_legs and asked is not null and exists (select from booked b where b.operation = r.operation and accounts <> 2)
          then 'entry_not_reversible'
        when not has_legs and exists (select from booked b where b.operation = r.operation and asked > abs(remaining)) then 'reversal_exceeded'
      end as problem
    from reversal r
  )
  select j.movement, j.operation, j.id, b.account_id, b.currency, case when asked is null then -b.remaining else -sign(b.original) * asked end, 0,
    null, b.name, b.scheme_name, b.identification, null
  from judged j join booked b on b.operation = j.operation where j.problem is null and not has_legs and b.remaining <> 0
  union all
  select movement, operation, id, null, null, 0, 0, null, null, null, null, problem from judged where problem is not null
$function$
;

CREATE OR REPLACE FUNCTION ledger.lift_freeze(p_account_id text)
 RETURNS text
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with before as (select account_id, frozen_for from ledger.account where account_id = p_account_id and frozen_for is not null for no key update),
    lifted as (update ledger.account a set status = 'open', frozen_for = null from before b where a.account_id = b.account_id returning b.frozen_for)
  select frozen_for from lifted
$function$
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

CREATE OR REPLACE FUNCTION ledger.place_holds(p_hold_id text[], p_account_id text[], p_amount_minor numeric[], p_currency text[], p_now timestamp with time zone, p_expires_at timestamp with time zone)
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  outcomes text[];
  all_known boolean;
  all_funded boolean;
  current_id text;
  available numeric;
  step record;
begin
  if exists (select from unnest(p_amount_minor) amount_minor where (amount_minor >= 1 and amount_minor < 1e37 and amount_minor = trunc(amount_minor)) is not true) then
    raise exception 'an amount is a positive whole number of minor units'
      using errcode = '23514', constraint = 'amount_is_a_positive_whole_number', schema = 'ledger', table = 'posting';
  end if;
  if p_expires_at > least(p_now, clock_timestamp()) + interval '7 days' then
    raise exception 'funds cannot be held until %', p_expires_at
      using errcode = '23514', constraint = 'hold_ends_within_seven_days', table = 'hold', schema = 'ledger';
  end if;
  perform from ledger.account a where a.account_id = any (p_account_id) order by a.account_id for no key update;

  -- As if all could be held.
  select array_agg(outcome order by position), bool_and(outcome is not null), bool_and(outcome <> 'insufficient_funds')
  into outcomes, all_known, all_funded
  from (
    select asked.position, case
        when a.account_id is null then null
        when a.status <> 'open' then 'account_not_usable'
        when a.kind = 'customer' and a.posted_minor - a.held_minor + a.overdraft_minor
          < sum(asked.amount_minor) over (partition by asked.account_id order by asked.position) then 'insufficient_funds'
        else 'held'
      end as outcome
    from unnest(p_account_id, p_amount_minor, p_currency) with ordinality asked (account_id, amount_minor, currency, position)
      left join lateral (
        select * from ledger.account known where known.account_id = asked.account_id and known.currency = asked.currency offset 0) a on true) judged;
  if all_known is not true then
    raise exception 'no such account in this currency'
      using errcode = '23503', constraint = 'hold_currency_matches_account', table = 'hold', schema = 'ledger';
  end if;
  if not all_funded then
    for step in
      select asked.position, asked.account_id, asked.amount_minor, a.posted_minor - a.held_minor + a.overdraft_minor as available
      from unnest(p_account_id, p_amount_minor) with ordinality asked (account_id, amount_minor, position) join ledger.account a using (account_id)
      where a.kind = 'customer' and a.status = 'open' order by asked.account_id, asked.position
    loop
      if step.account_id is distinct from current_id then
        current_id := step.account_id;
        available := step.available;
      end if;
      outcomes[step.position] := case when step.amount_minor <= available then 'held' else 'insufficient_funds' end;
      if step.amount_minor <= available then available := available - step.amount_minor; end if;
    end loop;
  end if;

  with placed as (
    insert into ledger.hold (hold_id, account_id, currency, amount_minor, status, created_at, expires_at)
    select asked.hold_id, asked.account_id, asked.currency, asked.amount_minor, 'active', p_now, p_expires_at
    from unnest(p_hold_id, p_account_id, p_currency, p_amount_minor, outcomes) asked (hold_id, account_id, currency, amount_minor, outcome)
    where asked.outcome = 'held'
  )
  update ledger.account a set held_minor = a.held_minor + held.amount_minor
  from (
    select asked.account_id, sum(asked.amount_minor) as amount_minor
    from unnest(p_account_id, p_amount_minor, outcomes) asked (account_id, amount_minor, outcome) where asked.outcome = 'held' group by asked.account_id) held
  where a.account_id = held.account_id and a.account_id = any (p_account_id);
  return outcomes;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.posting_is_sound()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  wrong text;
begin
  -- The least of the words is named, so they are numbered in the order in which they matter.
  select min(case
      when judged.problem < '2' then judged.problem
      when not exists (select from ledger.entry e where e.entry_id = new.entry_id) then '2posting_belongs_to_an_entry'
      when judged.total <> 0 then '3entry_balances'
      else judged.problem
    end) into wrong
  from (
    select sum(p.amount_minor) as total, min(case
        when a.account_id is null then '1posting_currency_matches_account'
        when p.amount_minor = 0 then '1posting_amount_is_not_zero'
        when p.posting_number not between 1 and a.posting_count or p.posting_number = a.posting_count and p.balance_minor <> a.posted_minor
          or exists (
            select from ledger.posting other
            where other.account_id = p.account_id and other.posting_number = p.posting_number
              and (other.entry_id, other.booked_at) <> (p.entry_id, p.booked_at)) then '4posting_agrees_with_its_account'
      end) as problem
    from ledger.posting p left join ledger.account a on a.account_id = p.account_id and a.currency = p.currency
    where p.entry_id = new.entry_id group by p.currency) judged;
  if wrong is not null then
    raise exception 'a posting is not sound: %', substr(wrong, 2)
      using errcode = '23514', constraint = substr(wrong, 2), schema = 'ledger', table = 'posting';
  end if;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.postings_to_prove(p_payment_id text)
 RETURNS TABLE(entry_id text, account_id text, posting_number bigint, currency text, amount_minor numeric, balance_minor numeric, counterparty_name text, counterparty_scheme_name text, counterparty_identification text, booked_at timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select l.entry_id, l.account_id, l.posting_number, l.currency, l.amount_minor, l.balance_minor, l.counterparty_name,
    l.counterparty_scheme_name, l.counterparty_identification, l.booked_at
  from payments.payment p join ledger.posting l on l.entry_id = p.entry_id where p.payment_id = p_payment_id
$function$
;

CREATE OR REPLACE FUNCTION ledger.raise_unsound(p_constraint text, p_table text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  raise exception 'what is to be written is not sound: %', p_constraint
    using errcode = '23514', constraint = p_constraint, schema = 'ledger', table = p_table;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.release_hold(p_hold_id text, p_status text, p_now timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  word text;
begin
  if (p_status in ('released', 'expired')) is not true then
    raise exception 'a hold is not released as %', p_status
      using errcode = '23514', constraint = 'hold_is_released_or_expired', schema = 'ledger', table = 'hold';
  end if;
  select outcome[1] into word from ledger.write(
    p_now, '-infinity', null, null, null, null, null,
    array[1], array[case p_status when 'expired' then 'expire' else 'release' end], null, array[p_hold_id],
    null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
  return case word when 'done' then p_status else word end;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.reversed_beyond(p_entry_id text[])
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  over_id text;
begin
  perform from ledger.entry e where e.entry_id = any (p_entry_id) order by e.entry_id for no key update;
  select n.entry_id into over_id
  from (select distinct entry_id from unnest(p_entry_id) n (entry_id) where entry_id is not null) n
    left join ledger.entry e on e.entry_id = n.entry_id
    left join lateral (
      select p.account_id, sum(p.amount_minor) as remaining, coalesce(sum(p.amount_minor) filter (where p.entry_id = n.entry_id), 0) as booked
      from (select n.entry_id union all select back.entry_id from ledger.entry back where back.reverses = n.entry_id) part (entry_id)
        join ledger.posting p on p.entry_id = part.entry_id
      group by p.account_id) left_over on true
  where e.entry_id is null or e.kind = 'reversal' or remaining * booked < 0 or abs(remaining) > abs(booked) limit 1;
  return over_id;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.settled_before()
 RETURNS bigint
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select pg_snapshot_xmin(pg_current_snapshot())::text::bigint + added from ledger.transaction_numbers
$function$
;

CREATE OR REPLACE FUNCTION ledger.ten_to_the(exponent integer)
 RETURNS numeric
 LANGUAGE sql
 IMMUTABLE STRICT
AS $function$
  select rpad('1', exponent + 1, '0')::numeric
$function$
;

CREATE OR REPLACE FUNCTION ledger.transfer(p_entry_id text, p_kind text, p_from text, p_to text, p_amount_minor numeric, p_currency text, p_description text, p_reference text, p_debtor ledger.party, p_creditor ledger.party, p_now timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  word text;
begin
  perform ledger.check_amount(p_amount_minor);
  if p_from = p_to then
    raise exception 'from and to are one account'
      using errcode = '23514', constraint = 'transfer_is_between_two_accounts', schema = 'ledger', table = 'entry';
  end if;
  select outcome[1] into word from ledger.write(
    p_now, '-infinity', null, null, null, null, array[p_from, p_to],
    array[1], array[p_kind], array[p_entry_id], null, null, null, array[p_currency], null, null, null, array[p_description], array[p_reference],
    null, null, null, null, null,
    array[1, 1], array[1, 2], array[2, 1], null, array[-p_amount_minor, p_amount_minor], null,
    array[p_creditor.name, p_debtor.name], array[p_creditor.scheme_name, p_debtor.scheme_name],
    array[p_creditor.identification, p_debtor.identification]);
  if word in ('account_not_found', 'currency_mismatch') then
    raise exception 'no account % and % in %', p_from, p_to, p_currency
      using errcode = '23503', constraint = 'posting_currency_matches_account', schema = 'ledger', table = 'posting';
  end if;
  return case word when 'done' then 'posted' else word end;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.worth(amount_minor numeric, price_units numeric, price_scale integer, base_digits integer, quote_digits integer)
 RETURNS numeric
 LANGUAGE sql
 IMMUTABLE STRICT
AS $function$
  select div(amount_minor * price_units * ledger.ten_to_the(quote_digits), ledger.ten_to_the(price_scale + base_digits))
$function$
;

CREATE OR REPLACE FUNCTION ledger.write(p_now timestamp with time zone, p_forget_before timestamp with time zone, p_actor text, p_key uuid[], p_request_hash bytea[], p_made text[], p_account_id text[], p_operation_movement integer[], p_operation_kind text[], p_operation_id text[], p_operation_target text[], p_operation_account_id text[], p_operation_amount_minor numeric[], p_operation_currency text[], p_operation_name text[], p_operation_scheme_name text[], p_operation_identification text[], p_operation_description text[], p_operation_reference text[], p_operation_payment_id text[], p_operation_value_date date[], p_operation_expires_at timestamp with time zone[], p_operation_actor text[], p_operation_interaction_id text[], p_leg_operation integer[], p_leg_account integer[], p_leg_other integer[], p_leg_currency text[], p_leg_amount_minor numeric[], p_leg_held_minor numeric[], p_leg_name text[], p_leg_scheme_name text[], p_leg_identification text[], p_exchanges jsonb DEFAULT NULL::jsonb, p_record_movement integer[] DEFAULT NULL::integer[], p_record_id text[] DEFAULT NULL::text[], p_record_actor text[] DEFAULT NULL::text[], p_record_action text[] DEFAULT NULL::text[], p_record_subject text[] DEFAULT NULL::text[], p_record_interaction_id text[] DEFAULT NULL::text[], p_record_details text[] DEFAULT NULL::text[], OUT outcome text[], OUT replayed text[])
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  movement_count integer := coalesce(p_operation_movement[cardinality(p_operation_movement)], 0);
  leg_count integer := coalesce(cardinality(p_leg_account), 0);
  today date := (p_now at time zone 'Europe/London')::date;
  has_targets boolean := coalesce(array_remove(p_operation_target, null) <> '{}', false);
  has_holds boolean := has_targets or 'hold' = any (p_operation_kind);
  leg_problem text[];
  -- By place, as they stand when all that was accepted so far is done. least is what must be left: null where there is no
  -- end to it. told is how an account's holder is called at the other end.
  found_id text[];
  found_at tid[];
  account_currency text[];
  account_status text[];
  open_currency text[];
  least numeric[];
  posted numeric[];
  held numeric[];
  counted bigint[];
  booked timestamptz[];
  told_name text[];
  told_scheme_name text[];
  told_identification text[];
  -- By leg: the posting that is made of it. Those with no number are none.
  numbered bigint[];
  balances numeric[];
  -- By movement: why it is not made.
  words text[];
  all_made boolean := true;
  movement integer := 0;
  declined boolean;
  first_leg integer;
  leg integer := 1;
  operation_leg integer;
  undo_to integer;
  place integer;
  other integer;
  amount numeric;
  held_amount numeric := 0;
  named_currency text;
  total numeric;
  short boolean;
  problem text;
  -- By movement: the holds that it gives back.
  released text[];
  -- No key was used before, whether it is remembered or not: then all are written before anything is locked.
  keys_are_new boolean;
  keys integer;
  keyed integer;
begin
  if cardinality(p_key) <> movement_count then perform ledger.raise_unsound('call_is_in_order', 'movement'); end if;
  -- What is held follows from a hold, here or in what it is taken up by.
  if p_leg_held_minor is not null and exists (
    select from unnest(p_leg_operation, p_leg_held_minor) l (operation, held_minor)
    where l.held_minor <> 0 and (p_operation_kind[l.operation] = 'hold') is not true) then
    perform ledger.raise_unsound('held_amount_is_of_a_hold', 'hold');
  end if;
  if has_targets then
    if (select count(target) <> count(distinct target) from unnest(p_operation_target) target) then
      raise exception 'a hold or an entry is taken up twice in one call'
        using errcode = '23514', constraint = 'target_is_named_once', schema = 'ledger', table = 'movement';
    end if;
    p_account_id := coalesce(p_account_id, '{}') || array(
      select distinct behind.account_id
      from (
        select h.account_id from ledger.hold h where h.hold_id = any (p_operation_target)
        union all select p.account_id from ledger.posting p where p.entry_id = any (p_operation_target)
      ) behind where behind.account_id <> all (coalesce(p_account_id, '{}')));
  end if;
  -- A key is looked for and written before anything is locked: within its generation of keys the primary key decides, what was written
  -- to those before is seen. So those who ask for the same at once wait for each other here, and the others for as short as can be.
  words := array_fill(null::text, array[movement_count]);
  if 'release' = any (p_operation_kind) or 'expire' = any (p_operation_kind) then
    released := array(
      select (select string_agg(o.target, ' ') from unnest(p_operation_movement, p_operation_kind, p_operation_target) o (movement, kind, target)
        where o.movement = m.number and o.kind in ('release', 'expire'))
      from generate_series(1, movement_count) m (number) order by m.number);
  end if;
  keys_are_new := p_key is null or not exists (select from ledger.movement m where m.movement_key = any (p_key));
  if keys_are_new and p_key is not null then
    insert into ledger.movement (movement_key, request_hash, made, released, made_at)
    select asked.movement_key, asked.request_hash, asked.made, asked.released, p_now
    from unnest(p_key, p_request_hash, coalesce(p_made, p_operation_id), released) asked (movement_key, request_hash, made, released)
    where asked.movement_key is not null order by asked.movement_key;
  elsif not keys_are_new and exists (select from ledger.movement m where m.movement_key = any (p_key) and m.made_at > p_forget_before) then
    select array_agg(m.made order by asked.position),
      array_agg(case when m.request_hash = asked.request_hash then 'replayed' when m.movement_key is not null then 'key_reused' end order by asked.position)
    into replayed, words
    from unnest(p_key, p_request_hash) with ordinality asked (movement_key, request_hash, position)
      left join lateral (
        select * from ledger.movement m where m.movement_key = asked.movement_key and m.made_at > p_forget_before order by m.made_at desc limit 1) m on true;
    all_made := false;
  end if;

  select array_agg(a.account_id), array_agg(a.at), array_agg(a.currency), array_agg(a.status), array_agg(case a.status when 'open' then a.currency end),
    array_agg(case a.kind when 'customer' then a.held_minor - a.overdraft_minor end), array_agg(a.posted_minor),
    array_agg(a.posting_count), array_agg(greatest(p_now, a.last_booked_at)), array_agg(a.holder_name),
    array_agg(case when a.sort_code is not null then 'UK.OBIE.SortCodeAccountNumber' when a.iban is not null then 'UK.OBIE.IBAN' end),
    array_agg(coalesce(a.sort_code || a.account_number, a.iban))
  into found_id, found_at, account_currency, account_status, open_currency, least, posted, counted, booked, told_name, told_scheme_name, told_identification
  from (
    select account_id, ctid as at, currency, status, kind, posted_minor, held_minor, overdraft_minor, posting_count, last_booked_at, holder_name,
      sort_code, account_number, iban
    from ledger.account where account_id = any (p_account_id) order by account_id for no key update) a;
  if found_id is distinct from p_account_id then
    -- Some are not there, or they were named in another order.
    if (select count(*) <> count(distinct account_id) from unnest(p_account_id) account_id) then
      perform ledger.raise_unsound('account_is_named_once', 'account');
    end if;
    select array_agg(a.ctid order by n.place), array_agg(a.currency order by n.place), array_agg(a.status order by n.place),
      array_agg(case a.status when 'open' then a.currency end order by n.place),
      array_agg(case a.kind when 'customer' then a.held_minor - a.overdraft_minor end order by n.place),
      array_agg(a.posted_minor order by n.place), array_agg(a.posting_count order by n.place),
      array_agg(greatest(p_now, a.last_booked_at) order by n.place), array_agg(a.holder_name order by n.place),
      array_agg(case when a.sort_code is not null then 'UK.OBIE.SortCodeAccountNumber' when a.iban is not null then 'UK.OBIE.IBAN' end order by n.place),
      array_agg(coalesce(a.sort_code || a.account_number, a.iban) order by n.place)
    into found_at, account_currency, account_status, open_currency, least, posted, counted, booked, told_name, told_scheme_name, told_identification
    from unnest(p_account_id) with ordinality n (account_id, place) left join ledger.account a on a.account_id = n.account_id;
  end if;

  if has_targets then
    perform from ledger.hold h where h.hold_id = any (p_operation_target) order by h.hold_id for update;
    select array_agg(l.operation order by l.operation, l.position), array_agg(l.account order by l.operation, l.position),
      array_agg(l.other order by l.operation, l.position), array_agg(l.currency order by l.operation, l.position),
      array_agg(l.amount_minor order by l.operation, l.position), array_agg(l.held_minor order by l.operation, l.position),
      array_agg(l.name order by l.operation, l.position), array_agg(l.scheme_name order by l.operation, l.position),
      array_agg(l.identification order by l.operation, l.position), array_agg(l.problem order by l.operation, l.position)
    into p_leg_operation, p_leg_account, p_leg_other, p_leg_currency, p_leg_amount_minor, p_leg_held_minor, p_leg_name, p_leg_scheme_name,
      p_leg_identification, leg_problem
    from (
      select operation, account, other, coalesce(currency, p_operation_currency[operation]) as currency, amount_minor,
        coalesce(held_minor, 0) as held_minor, name, scheme_name, identification, null as problem, position
      from unnest(p_leg_operation, p_leg_account, p_leg_other, p_leg_currency, p_leg_amount_minor, p_leg_held_minor, p_leg_name, p_leg_scheme_name,
        p_leg_identification) with ordinality l (operation, account, other, currency, amount_minor, held_minor, name, scheme_name, identification, position)
      union all
      select l.operation, array_position(p_account_id, l.account_id), array_position(p_account_id, l.other_id), l.currency, l.amount_minor,
        l.held_minor, l.told_name, l.told_scheme_name, l.told_identification, l.problem, 0
      from (
        select * from ledger.legs_of_holds(p_now, p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_account_id,
          p_operation_amount_minor, p_operation_name, p_operation_scheme_name, p_operation_identification)
        union all
        select * from ledger.legs_of_reversals(p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_amount_minor,
          coalesce(p_leg_operation, '{}'), array(select p_account_id[account] from unnest(p_leg_account) with ordinality l (account, position) order by position), p_leg_amount_minor)
      ) l
    ) l;
    leg_count := coalesce(cardinality(p_leg_operation), 0);
    p_operation_currency := array(
      select coalesce(asked.currency, found.currency)
      from unnest(p_operation_currency, p_operation_kind) with ordinality asked (currency, kind, operation)
        left join (
          select operation, case when min(currency) = max(currency) then min(currency) end as currency
          from unnest(p_leg_operation, p_leg_currency) l (operation, currency) group by operation) found using (operation)
      order by operation);
  end if;

  numbered := array_fill(null::bigint, array[leg_count]);
  balances := array_fill(null::numeric, array[leg_count]);
  if has_holds then held := array_fill(0::numeric, array[cardinality(p_account_id)]); end if;

  -- Nearly all that comes is a transfer by itself, between two open accounts of its currency, with the funds for it. From the first that is
  -- not on, all are looked at as below.
  if all_made and not has_holds and p_leg_currency is null and leg_count = 2 * movement_count
    and p_operation_movement = array(select generate_series(1, movement_count))
    and p_leg_operation = array(select (number + 1) / 2 from generate_series(1, leg_count) number) then
    while movement < movement_count loop
      place := p_leg_account[leg];
      other := p_leg_account[leg + 1];
      amount := p_leg_amount_minor[leg + 1];
      named_currency := p_operation_currency[movement + 1];
      exit when (open_currency[place] = named_currency and open_currency[other] = named_currency and place <> other
        and amount > 0 and p_leg_amount_minor[leg] = -amount and (posted[place] - amount < least[place]) is not true) is not true;
      movement := movement + 1;
      posted[place] := posted[place] - amount;
      counted[place] := counted[place] + 1;
      numbered[leg] := counted[place];
      balances[leg] := posted[place];
      posted[other] := posted[other] + amount;
      counted[other] := counted[other] + 1;
      numbered[leg + 1] := counted[other];
      balances[leg + 1] := posted[other];
      leg := leg + 2;
    end loop;
  end if;

  -- Each movement is done in memory as it comes, and undone when it turns out that it cannot be. What stands against an operation
  -- as a whole goes before what stands against one of its legs; whatever it does to an account is done before it is asked
  -- whether that was too much.
  for operation in movement + 1..cardinality(p_operation_movement) loop
    if p_operation_movement[operation] <> movement then
      if p_operation_movement[operation] <> movement + 1 then perform ledger.raise_unsound('call_is_in_order', 'movement'); end if;
      movement := p_operation_movement[operation];
      first_leg := leg;
      declined := words[movement] is not null;
    end if;
    operation_leg := leg;
    undo_to := null;
    total := 0;
    short := false;
    while p_leg_operation[leg] = operation loop
      if not declined then
        place := p_leg_account[leg];
        amount := p_leg_amount_minor[leg];
        named_currency := coalesce(p_leg_currency[leg], p_operation_currency[operation]);
        if has_holds then held_amount := coalesce(p_leg_held_minor[leg], 0); end if;
        if (account_status[place] = 'open' and account_currency[place] = named_currency and leg_problem[leg] is null) is not true then
          words[movement] := case
            when leg_problem[leg] is not null then leg_problem[leg]
            when account_status[place] is null then 'account_not_found'
            when (account_currency[place] = named_currency) is not true then 'currency_mismatch'
            when account_status[place] = 'closed' and amount > 0 or amount < 0 or held_amount > 0 then 'account_not_usable'
          end;
          declined := words[movement] is not null;
          if declined then undo_to := leg - 1; end if;
        end if;
      end if;
      if not declined then
        posted[place] := posted[place] + amount;
        if has_holds then held[place] := held[place] + held_amount; end if;
        if amount < held_amount and posted[place] - coalesce(held[place], 0) < least[place] then short := true; end if;
        if amount <> 0 then
          total := total + amount;
          counted[place] := counted[place] + 1;
          numbered[leg] := counted[place];
          balances[leg] := posted[place];
        end if;
      end if;
      leg := leg + 1;
    end loop;
    if short and not declined then
      for at in operation_leg..leg - 1 loop
        place := p_leg_account[at];
        if posted[place] - coalesce(held[place], 0) < least[place] and p_leg_amount_minor[at] < coalesce(p_leg_held_minor[at], 0) then
          declined := true;
        end if;
      end loop;
      if declined then
        words[movement] := 'insufficient_funds';
        undo_to := leg - 1;
      end if;
    end if;
    if declined then
      all_made := false;
      for at in first_leg..coalesce(undo_to, 0) loop
        place := p_leg_account[at];
        posted[place] := posted[place] - p_leg_amount_minor[at];
        if has_holds then held[place] := held[place] - coalesce(p_leg_held_minor[at], 0); end if;
        if numbered[at] is not null then
          counted[place] := counted[place] - 1;
          numbered[at] := null;
        end if;
      end loop;
    elsif (leg = operation_leg or numbered[operation_leg] is null) and p_operation_kind[operation] not in ('hold', 'release', 'expire') then
      perform ledger.raise_unsound('entry_has_two_postings', 'entry');
    elsif total <> 0 and p_leg_currency is null then
      perform ledger.raise_unsound('entry_balances', 'posting');
    elsif p_operation_kind[operation] = 'hold' and (
        leg = operation_leg + 1 and p_leg_held_minor[operation_leg] = p_operation_amount_minor[operation] and p_leg_amount_minor[operation_leg] = 0
        and p_account_id[p_leg_account[operation_leg]] = p_operation_account_id[operation] and p_operation_amount_minor[operation] > 0) is not true then
      perform ledger.raise_unsound('held_amount_is_of_a_hold', 'hold');
    end if;
  end loop;
  if leg <= leg_count then perform ledger.raise_unsound('call_is_in_order', 'movement'); end if;
  if (released is not null or array_position(p_operation_kind, null) is not null
      or cardinality(p_operation_kind) is distinct from cardinality(p_operation_movement))
    and exists (
      select from unnest(p_leg_operation, numbered) l (operation, number)
      where l.number is not null and (p_operation_kind[l.operation] in ('release', 'expire')) is not false) then
    perform ledger.raise_unsound('posting_belongs_to_an_entry', 'posting');
  end if;
  outcome := case when all_made then array_fill('done'::text, array[movement_count])
    else array(select coalesce(word, 'done') from unnest(words) with ordinality w (word, position) order by position) end;
  if keys_are_new and p_key is not null and not all_made then
    delete from ledger.movement m using unnest(p_key, words) asked (movement_key, word)
    where m.movement_key = asked.movement_key and asked.word is not null;
  end if;
  if not 'done' = any (outcome) then return; end if;

  if exists (select from unnest(p_leg_amount_minor) l (minor) where (abs(l.minor) < 1e37 and l.minor = trunc(l.minor)) is not true)
    or exists (select from unnest(p_leg_held_minor) l (minor) where (abs(l.minor) < 1e37 and l.minor = trunc(l.minor)) is false) then
    perform ledger.raise_unsound('amount_is_a_positive_whole_number', 'posting');
  end if;
  if p_leg_currency is not null and exists (
    select from unnest(p_leg_operation, p_leg_currency, p_leg_amount_minor, numbered) l (operation, currency, amount_minor, number)
    where l.number is not null group by l.operation, coalesce(l.currency, p_operation_currency[l.operation]) having sum(l.amount_minor) <> 0) then
    perform ledger.raise_unsound('entry_balances', 'posting');
  end if;
  select min(case
      when (starts_with(o.id, 'ent_') and length(o.id) = 36) is not true then 'entry_id_is_prefixed'
      when o.kind not in ('opening', 'transfer', 'reversal', 'exchange', 'closing', 'capture', 'capture_part') then 'entry_kind_is_known'
      when o.currency is null and o.kind in ('opening', 'closing') then 'entry_of_one_currency_names_it'
      when o.kind = 'reversal' and o.target is null then 'entry_reversal_names_what_it_reverses'
      when o.value_date > today then 'entry_value_date_is_not_after_booking'
    end) into problem
  from unnest(p_operation_kind, p_operation_id, p_operation_target, p_operation_value_date, p_operation_currency) o (kind, id, target, value_date, currency)
  where o.kind not in ('hold', 'release', 'expire');
  if problem is not null then perform ledger.raise_unsound(problem, 'entry'); end if;

  with entered as (
    insert into ledger.entry (entry_id, kind, currency, description, reference, payment_id, reverses, hold_id, booked_at, value_date, actor, interaction_id)
    select o.id, case when o.kind in ('capture', 'capture_part') then 'transfer' else o.kind end, o.currency, o.description, o.reference, o.payment_id,
      case when o.kind = 'reversal' then o.target end, case when o.kind in ('capture', 'capture_part') then o.target end, p_now,
      coalesce(o.value_date, today), coalesce(o.actor, p_actor), o.interaction_id
    from unnest(p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_currency, p_operation_description,
        p_operation_reference, p_operation_payment_id, p_operation_value_date, p_operation_actor, p_operation_interaction_id)
        o (movement, kind, id, target, currency, description, reference, payment_id, value_date, actor, interaction_id)
    where o.kind not in ('hold', 'release', 'expire') and (all_made or words[o.movement] is null)
  ), posted as (
    insert into ledger.posting (
      account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
      counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
    select p_account_id[l.account], l.number, p_operation_id[l.operation], coalesce(l.currency, p_operation_currency[l.operation]), l.amount_minor,
      l.balance_minor, coalesce(l.name, told_name[l.other], ''),
      case when l.identification is null then told_scheme_name[l.other] else l.scheme_name end,
      coalesce(l.identification, told_identification[l.other]), booked[l.account]
    from unnest(p_leg_operation, p_leg_account, p_leg_other, p_leg_currency, p_leg_amount_minor, p_leg_name, p_leg_scheme_name, p_leg_identification,
        numbered, balances) l (operation, account, other, currency, amount_minor, name, scheme_name, identification, number, balance_minor)
    where l.number is not null
  )
  update ledger.account a
  set posted_minor = n.posted_minor, held_minor = a.held_minor + coalesce(n.held_minor, 0), posting_count = n.posting_count,
    last_booked_at = case when n.posting_count > a.posting_count then n.booked_at else a.last_booked_at end
  from unnest(p_account_id, found_at, posted, held, counted, booked) n (account_id, at, posted_minor, held_minor, posting_count, booked_at)
  -- A row that is locked stays where it is.
  where a.ctid = n.at and a.account_id = n.account_id and (n.posting_count > a.posting_count or n.held_minor <> 0);
  -- Keys that were forgotten are used anew, now that it is known for what.
  if not keys_are_new then
    with made as (
      insert into ledger.movement as m (movement_key, request_hash, made, released, made_at)
      select asked.movement_key, asked.request_hash, asked.made, asked.released, p_now
      from unnest(p_key, p_request_hash, coalesce(p_made, p_operation_id), released, words) asked (movement_key, request_hash, made, released, word)
      where asked.movement_key is not null and asked.word is null order by asked.movement_key
      on conflict on constraint movement_is_made_once do update
        set (request_hash, made, released, made_at, written_in) = (excluded.request_hash, excluded.made, excluded.released, excluded.made_at, excluded.written_in)
        where m.made_at <= p_forget_before
      returning movement_key
    )
    select (select count(*) from made), count(asked.movement_key) into keyed, keys
    from unnest(p_key, words) asked (movement_key, word) where asked.word is null;
    -- Another process made one of these under its key meanwhile. Asked again, this is seen.
    if keyed <> keys then
      raise exception 'a movement was made meanwhile under one of these keys' using errcode = '40001', constraint = 'movement_is_made_once', schema = 'ledger', table = 'movement';
    end if;
  end if;

  if has_holds then
    perform ledger.write_holds(p_now, case when not all_made then array(select word is null from unnest(words) with ordinality w (word, position) order by position) end,
      p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_account_id,
      p_operation_amount_minor, p_operation_currency, p_operation_expires_at);
  end if;
  if 'reversal' = any (p_operation_kind) and ledger.reversed_beyond(array(
      select o.target from unnest(p_operation_movement, p_operation_kind, p_operation_target) o (movement, kind, target)
      where o.kind = 'reversal' and (all_made or words[o.movement] is null))) is not null then
    perform ledger.raise_unsound('entry_is_reversed_once_over', 'entry');
  end if;
  if p_exchanges is not null then
    insert into ledger.exchange (
      entry_id, sold_currency, sold_digits, sold_minor, priced_minor, bought_currency, bought_digits, bought_minor, price_units, price_scale, source, quoted_at)
    select entry_id, sold_currency, sold_digits, sold_minor, priced_minor, bought_currency, bought_digits, bought_minor, price_units, price_scale, source, quoted_at
    from jsonb_to_recordset(p_exchanges) x (
      movement integer, entry_id text, sold_currency text, sold_digits integer, sold_minor numeric, priced_minor numeric, bought_currency text,
      bought_digits integer, bought_minor numeric, price_units numeric, price_scale integer, source text, quoted_at timestamptz)
    where all_made or words[x.movement] is null;
  end if;
  if p_record_id is not null then
    insert into audit.record (record_id, occurred_at, actor, action, subject, interaction_id, details)
    select r.id, p_now, r.actor, r.action, r.subject, r.interaction_id, r.details::jsonb
    from unnest(p_record_movement, p_record_id, p_record_actor, p_record_action, p_record_subject, p_record_interaction_id, p_record_details)
      r (movement, id, actor, action, subject, interaction_id, details)
    where all_made or words[r.movement] is null;
  end if;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.write_holds(p_now timestamp with time zone, p_accepted boolean[], p_movement integer[], p_kind text[], p_id text[], p_target text[], p_account_id text[], p_amount_minor numeric[], p_currency text[], p_expires_at timestamp with time zone[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  -- Whoever may hold funds cannot put them out of reach for long: by the caller's clock and by ours, which nobody else sets.
  if exists (
    select from unnest(p_kind, p_expires_at) o (kind, expires_at)
    where kind = 'hold' and expires_at > least(p_now, clock_timestamp()) + interval '7 days') then
    raise exception 'funds cannot be held for so long'
      using errcode = '23514', constraint = 'hold_ends_within_seven_days', table = 'hold', schema = 'ledger';
  end if;
  insert into ledger.hold (hold_id, account_id, currency, amount_minor, status, created_at, expires_at, placed_for)
  select id, account_id, currency, amount_minor, 'active', p_now, expires_at, 'movement'
  from unnest(p_movement, p_kind, p_id, p_account_id, p_currency, p_amount_minor, p_expires_at)
    o (movement, kind, id, account_id, currency, amount_minor, expires_at)
  where kind = 'hold' and (p_accepted is null or p_accepted[movement]);

  update ledger.hold h set
    captured_minor = h.captured_minor + taken.amount, entry_id = case when taken.ends and taken.kind like 'capture%' then taken.id end,
    status = case when not taken.ends then 'active' when taken.kind like 'capture%' then 'captured' when taken.kind = 'expire' then 'expired' else 'released' end,
    resolved_at = case when taken.ends then p_now end
  from (
    select o.*, case when o.kind like 'capture%' then coalesce(o.asked, h.amount_minor - h.captured_minor) else 0 end as amount,
      o.kind <> 'capture_part' or coalesce(o.asked, h.amount_minor - h.captured_minor) = h.amount_minor - h.captured_minor as ends
    from unnest(p_movement, p_kind, p_id, p_target, p_amount_minor) o (movement, kind, id, target, asked)
      join ledger.hold h on h.hold_id = o.target
    where o.kind in ('capture', 'capture_part', 'release', 'expire') and (p_accepted is null or p_accepted[o.movement])
  ) taken where h.hold_id = taken.target and taken.target = any (p_target);
end $function$
;

CREATE OR REPLACE FUNCTION ledger.write_payments(p_now timestamp with time zone, p_entry_id text[], p_payment_id text[], p_debtor_account_id text[], p_creditor_account_id text[], p_amount_minor numeric[], p_currency text[], p_description text[], p_reference text[], p_creditor_name text[], p_creditor_scheme_name text[], p_creditor_identification text[])
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  today date := (p_now at time zone 'Europe/London')::date;
  -- By place, as they stand when all that was accepted so far is done. room is what can still be spent: null where there is no end to it.
  account_ids text[];
  currencies text[];
  statuses text[];
  room numeric[];
  posted numeric[];
  counted bigint[];
  booked timestamptz[];
  told_names text[];
  told_scheme_names text[];
  told_identifications text[];
  -- By payment: both accounts, and what their postings say. Those with no number are none.
  debtors integer[] := '{}';
  creditors integer[] := '{}';
  debit_numbers bigint[] := array_fill(null::bigint, array[cardinality(p_entry_id)]);
  debit_balances numeric[] := array_fill(null::numeric, array[cardinality(p_entry_id)]);
  credit_numbers bigint[] := debit_numbers;
  credit_balances numeric[] := debit_balances;
  outcomes text[] := '{}';
  debtor integer;
  creditor integer;
  amount numeric;
  named_currency text;
begin
  select array_agg(a.account_id), array_agg(a.currency), array_agg(a.status),
    array_agg(case when a.kind = 'customer' then a.posted_minor - a.held_minor + a.overdraft_minor end), array_agg(a.posted_minor),
    array_agg(a.posting_count), array_agg(greatest(p_now, a.last_booked_at)), array_agg(a.holder_name),
    array_agg(case when a.sort_code is not null then 'UK.OBIE.SortCodeAccountNumber' when a.iban is not null then 'UK.OBIE.IBAN' end),
    array_agg(coalesce(a.sort_code || a.account_number, a.iban))
  into account_ids, currencies, statuses, room, posted, counted, booked, told_names, told_scheme_names, told_identifications
  from (
    select account_id, currency, status, kind, posted_minor, held_minor, overdraft_minor, posting_count, last_booked_at, holder_name, sort_code,
      account_number, iban
    from ledger.account where account_id = any (p_debtor_account_id || p_creditor_account_id) order by account_id for no key update) a;

  for number in 1..cardinality(p_entry_id) loop
    debtor := array_position(account_ids, p_debtor_account_id[number]);
    creditor := array_position(account_ids, p_creditor_account_id[number]);
    amount := p_amount_minor[number];
    named_currency := p_currency[number];
    if (amount >= 1 and amount < 1e37 and amount = trunc(amount) and p_debtor_account_id[number] <> p_creditor_account_id[number]
      and starts_with(p_entry_id[number], 'ent_') and length(p_entry_id[number]) = 36 and p_payment_id[number] is not null) is not true then
      perform ledger.raise_unsound(case
          when (starts_with(p_entry_id[number], 'ent_') and length(p_entry_id[number]) = 36) is not true then 'entry_id_is_prefixed'
          when p_payment_id[number] is null then 'entry_posts_a_payment_once'
          when amount >= 1 and amount < 1e37 and amount = trunc(amount) then 'transfer_is_between_two_accounts'
          else 'amount_is_a_positive_whole_number'
        end, 'entry');
    end if;
    debtors[number] := debtor;
    creditors[number] := creditor;
    if statuses[debtor] = 'open' and currencies[debtor] = named_currency and statuses[creditor] <> 'closed' and currencies[creditor] = named_currency
      and (room[debtor] < amount) is not true then
      room[debtor] := room[debtor] - amount;
      room[creditor] := room[creditor] + amount;
      posted[debtor] := posted[debtor] - amount;
      posted[creditor] := posted[creditor] + amount;
      counted[debtor] := counted[debtor] + 1;
      counted[creditor] := counted[creditor] + 1;
      debit_numbers[number] := counted[debtor];
      debit_balances[number] := posted[debtor];
      credit_numbers[number] := counted[creditor];
      credit_balances[number] := posted[creditor];
      outcomes[number] := 'done';
    else
      outcomes[number] := case
        when debtor is null then 'account_not_found'
        when currencies[debtor] <> named_currency then 'currency_mismatch'
        when statuses[debtor] <> 'open' then 'account_not_usable'
        when creditor is null then 'account_not_found'
        when currencies[creditor] <> named_currency then 'currency_mismatch'
        when statuses[creditor] = 'closed' then 'account_not_usable'
        else 'insufficient_funds'
      end;
    end if;
  end loop;
  if not 'done' = any (outcomes) then return outcomes; end if;

  with made as (
    select * from unnest(p_entry_id, p_payment_id, p_currency, p_description, p_reference, p_amount_minor, p_creditor_name, p_creditor_scheme_name,
        p_creditor_identification, debtors, creditors, debit_numbers, debit_balances, credit_numbers, credit_balances)
      p (entry_id, payment_id, currency, description, reference, amount_minor, name, scheme_name, identification, debtor, creditor, debit_number, debit_balance,
        credit_number, credit_balance)
    where p.debit_number is not null
  ), entered as (
    insert into ledger.entry (entry_id, kind, currency, description, reference, payment_id, booked_at, value_date)
    select entry_id, 'transfer', currency, description, reference, payment_id, p_now, today from made
  ), posted as (
    insert into ledger.posting (
      account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
      counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
    select account_ids[l.account], l.number, l.entry_id, l.currency, l.amount_minor, l.balance_minor, coalesce(l.name, told_names[l.other], ''),
      case when l.identification is null then told_scheme_names[l.other] else l.scheme_name end,
      coalesce(l.identification, told_identifications[l.other]), booked[l.account]
    from (
      select entry_id, currency, debtor as account, creditor as other, debit_number as number, -amount_minor as amount_minor, debit_balance as balance_minor,
        name, scheme_name, identification
      from made
      union all
      select entry_id, currency, creditor, debtor, credit_number, amount_minor, credit_balance, null, null, null from made) l
  )
  update ledger.account a set posted_minor = n.posted_minor, posting_count = n.posting_count, last_booked_at = n.booked_at
  from unnest(account_ids, posted, counted, booked) n (account_id, posted_minor, posting_count, booked_at)
  where a.account_id = n.account_id and n.posting_count > a.posting_count;
  return outcomes;
end $function$
;

CREATE OR REPLACE FUNCTION ledger.write_transfer(p_now timestamp with time zone, p_key uuid, p_request_hash bytea, p_entry_id text, p_kind text, p_from text, p_to text, p_amount_minor numeric, p_currency text, p_description text, p_reference text, p_value_date date, p_debtor_name text, p_debtor_scheme_name text, p_debtor_identification text, p_creditor_name text, p_creditor_scheme_name text, p_creditor_identification text, p_actor text, p_interaction_id text)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
begin
  if (p_amount_minor >= 1 and p_amount_minor < 1e37 and p_amount_minor = trunc(p_amount_minor) and p_from <> p_to
    and p_entry_id like 'ent\_________________________________' and p_kind in ('opening', 'transfer')
    and (p_value_date is null or p_value_date <= (p_now at time zone 'Europe/London')::date)) is not true then
    perform ledger.raise_unsound(case
        when (starts_with(p_entry_id, 'ent_') and length(p_entry_id) = 36) is not true then 'entry_id_is_prefixed'
        when (p_kind in ('opening', 'transfer')) is not true then 'entry_kind_is_known'
        when p_value_date > (p_now at time zone 'Europe/London')::date then 'entry_value_date_is_not_after_booking'
        when p_from = p_to then 'transfer_is_between_two_accounts'
        else 'amount_is_a_positive_whole_number'
      end, 'entry');
  end if;

  with made as (
    insert into ledger.movement (movement_key, request_hash, made, made_at)
    select p_key, p_request_hash, p_entry_id, p_now where not exists (select from ledger.movement where movement_key = p_key)
    returning movement_key
  ), moved as (
    update ledger.account
    set posted_minor = posted_minor + case account_id when p_to then p_amount_minor else -p_amount_minor end, posting_count = posting_count + 1,
      last_booked_at = greatest(p_now, last_booked_at)
    where account_id in (p_from, p_to) and exists (select from made) and currency = p_currency
      and case account_id
        when p_to then status <> 'closed'
        else status = 'open' and (kind <> 'customer' or posted_minor - held_minor + overdraft_minor >= p_amount_minor)
      end
    returning account_id, account_id = p_to as is_creditor, posting_count, posted_minor, last_booked_at, holder_name,
      case when sort_code is not null then 'UK.OBIE.SortCodeAccountNumber' when iban is not null then 'UK.OBIE.IBAN' end as scheme_name,
      coalesce(sort_code || account_number, iban) as identification
  ), entered as (
    insert into ledger.entry (entry_id, kind, currency, description, reference, booked_at, value_date, actor, interaction_id)
    values (p_entry_id, p_kind, p_currency, p_description, p_reference, p_now, coalesce(p_value_date, (p_now at time zone 'Europe/London')::date), p_actor, p_interaction_id)
  )
  insert into ledger.posting (
    account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
    counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
  select own.account_id, own.posting_count, p_entry_id, p_currency, case when own.is_creditor then p_amount_minor else -p_amount_minor end,
    own.posted_minor, coalesce(case when own.is_creditor then p_debtor_name else p_creditor_name end, other.holder_name),
    case when case when own.is_creditor then p_debtor_identification else p_creditor_identification end is null then other.scheme_name
      when own.is_creditor then p_debtor_scheme_name else p_creditor_scheme_name end,
    coalesce(case when own.is_creditor then p_debtor_identification else p_creditor_identification end, other.identification), own.last_booked_at
  from moved own join moved other on own.is_creditor <> other.is_creditor;
  if not found then
    raise exception 'the transfer cannot be made, or was made before under this key'
      using errcode = '23514', constraint = 'transfer_can_be_made', schema = 'ledger', table = 'movement';
  end if;
  return 'done';
end $function$
;

CREATE OR REPLACE FUNCTION oidc.decided_stays_decided()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if (new.outcome, new.decided_at, new.grant_id, new.answer) is distinct from (old.outcome, old.decided_at, old.grant_id, old.answer)
    or (old.consumed_at is not null and new.consumed_at is distinct from old.consumed_at) then
    raise exception 'request % is decided', old.request_id
      using errcode = '23514', constraint = 'decided_stays_decided', table = 'backchannel_authentication_request', schema = 'oidc';
  end if;
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION oidc.revoked_stays_revoked()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if new.revoked_at is distinct from old.revoked_at then
    raise exception 'grant % is revoked', old.grant_id
      using errcode = '23514', constraint = 'revoked_stays_revoked', table = 'grant', schema = 'oidc';
  end if;
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION oidc.used_stays_used()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if new.consumed_at is distinct from old.consumed_at then
    raise exception 'what was used stays used'
      using errcode = '23514', constraint = 'used_stays_used', table = tg_table_name, schema = 'oidc';
  end if;
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION payments.assess(p_payments payments.assessable[])
 RETURNS TABLE("position" integer, verdict text, score integer, reasons jsonb, new_payee boolean, new_device boolean)
 LANGUAGE sql
 STABLE
AS $function$
  select f.position, case when s.score >= t.refuse_from then 'refuse' when s.score >= t.review_from then 'review' else 'pass' end, s.score, s.reasons,
    f.new_payee, f.new_device
  from (
      select p.position, div(p.amount_minor, unit) as amount,
        div(lately.spent_minor + case when p.is_counted then 0 else p.amount_minor end, unit) as paid_in_a_day,
        lately.payments + (not p.is_counted)::integer as payments_in_an_hour,
        coalesce((
          select false from payments.known_to_customer k where k.customer_id = p.customer_id and k.kind = 'payee' and k.fingerprint = p.payee), true) as new_payee,
        coalesce((
          select false from payments.known_to_customer k where k.customer_id = p.customer_id and k.kind = 'device' and k.fingerprint = p.device), true)
          as new_device,
        extract(hour from p.made_at at time zone 'Europe/London') as hour
      from unnest(p_payments) p
        cross join lateral (select ('1e' || p.minor_digits)::numeric as unit) units
        cross join lateral (
          select coalesce(sum(s.spent_minor), 0) as spent_minor,
            coalesce(sum(s.payment_count) filter (where s.hour >= date_trunc('hour', p.made_at, 'UTC') - interval '1 hour'), 0) as payments
          from payments.spent s where s.account_id = p.account_id and s.hour > p.made_at - interval '24 hours') lately
      offset 0) f
    cross join (
      select min(h.at_least) filter (where h.verdict = 'refuse') as refuse_from, min(h.at_least) filter (where h.verdict = 'review') as review_from
      from payments.risk_threshold h) t
    cross join lateral (
      select greatest(coalesce(sum(r.points), 0), 0)::integer as score,
        coalesce(jsonb_agg(jsonb_build_object('rule', r.rule_id, 'points', r.points, 'words', r.words, 'fact', r.value::text)
          order by abs(r.points) desc, r.rule_id), '[]') as reasons
      from (
        select rule.*, case rule.fact when 'amount' then f.amount when 'paid_in_a_day' then f.paid_in_a_day when 'payments_in_an_hour' then f.payments_in_an_hour
          when 'new_payee' then f.new_payee::integer when 'new_device' then f.new_device::integer when 'hour' then f.hour end as value
        from payments.risk_rule rule) r
      where (r.at_least is null or r.value >= r.at_least) and (r.below is null or r.value < r.below)) s
$function$
;

CREATE OR REPLACE FUNCTION payments.claim_idempotency_key(p_client_id text, p_method text, p_endpoint text, p_key text, p_request_hash bytea, p_resource_id text, p_now timestamp with time zone, p_forget_before timestamp with time zone, OUT outcome text, OUT resource_id text)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '250ms'
 SET enable_seqscan TO 'off'
AS $function$
declare
  first payments.idempotent_request;
begin
  loop
    -- Looked for before it is claimed: from here on no generation begins, and what was written to those before is seen.
    select * into first from payments.idempotent_request r
    where r.client_id = p_client_id and r.method = p_method and r.endpoint = p_endpoint and r.key = p_key order by r.created_at desc limit 1;
    if first.created_at > p_forget_before then
      outcome := case when first.request_hash = p_request_hash then 'replayed' else 'reused' end;
      resource_id := case when first.request_hash = p_request_hash then first.resource_id end;
      return;
    end if;
    insert into payments.idempotent_request as r (client_id, method, endpoint, key, request_hash, resource_id, created_at)
    values (p_client_id, p_method, p_endpoint, p_key, p_request_hash, p_resource_id, p_now)
    on conflict on constraint idempotent_request_is_claimed_once
      do update set request_hash = excluded.request_hash, resource_id = excluded.resource_id, created_at = excluded.created_at
      where r.created_at <= p_forget_before;
    if found then outcome := 'claimed'; return; end if;
  end loop;
end $function$
;

CREATE OR REPLACE FUNCTION payments.clear_payment(p_payment_id text, p_now timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with cleared as (
    update payments.payment set step = 'cleared' where payment_id = p_payment_id and step = 'review' and deadline_at > p_now returning 1)
  select exists (select from cleared)
$function$
;

CREATE OR REPLACE FUNCTION payments.counts_since(p_period text, p_window_hours integer, p_now timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select case p_period
    when 'day' then date_trunc('day', p_now, 'Europe/London')
    when 'month' then date_trunc('month', p_now, 'Europe/London')
    when 'window' then date_trunc('hour', p_now, 'UTC') - p_window_hours * interval '1 hour'
  end
$function$
;

CREATE OR REPLACE FUNCTION payments.leave_to_check_elsewhere()
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  earlier payments.straight_through;
begin
  select * into earlier from payments.straight_through for no key update;
  if earlier.check_elsewhere then return '{}'; end if;
  update payments.straight_through set check_elsewhere = true, is_on = false;
  return case when earlier.is_on then array['straight_through.off', 'payment_check.elsewhere'] else array['payment_check.elsewhere'] end;
end $function$
;

CREATE OR REPLACE FUNCTION payments.limit_is_fixed()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if tg_op = 'DELETE' or old.ended_at is not null or new.ended_at is null
    or to_jsonb(old) - 'ended_at' is distinct from to_jsonb(new) - 'ended_at' then
    raise exception 'limit % may only be ended', old.limit_id
      using errcode = '23514', constraint = 'limit_is_fixed', table = 'spending_limit', schema = 'payments';
  end if;
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION payments.limits_in_the_way(p_now timestamp with time zone, p_consent_id text[], p_channel text[])
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  refused text[] := array_fill(null::text, array[cardinality(p_consent_id)]);
  payment record;
  of_customers boolean;
  counts boolean;
  -- By place, which is a limit and whom it is of: what this call lets through.
  added numeric[] := '{}';
  places integer[] := '{}';
  place integer;
  step record;
begin
  if not exists (select from payments.spending_limit where ended_at is null) then return refused; end if;
  select array_agg(c.customer_id order by position) as customer_id, array_agg(c.debtor_account_id order by position) as account_id,
    array_agg(c.amount_minor order by position) as amount_minor, array_agg(c.currency order by position) as currency
  into payment
  from unnest(p_consent_id) with ordinality asked (consent_id, position) left join consents.consent c using (consent_id);
  select bool_or(counts_since is not null), bool_or(counts_since is not null and scope = 'customer') into counts, of_customers
  from payments.limits_on(p_now, payment.customer_id, payment.account_id, p_consent_id, p_channel, payment.amount_minor, payment.currency);
  if counts is null then return refused; end if;
  if of_customers then
    perform from customers.customer c where c.customer_id = any (payment.customer_id) order by c.customer_id for no key update;
  end if;
  if counts then
    perform from ledger.account a where a.account_id = any (payment.account_id) order by a.account_id for no key update;
  end if;

  for step in
    with due as materialized (
      select * from payments.limits_on(p_now, payment.customer_id, payment.account_id, p_consent_id, p_channel, payment.amount_minor, payment.currency)
    ), used as materialized (
      select limit_id, subject_id, payments.spent_since(subject_id, currency, channel, counts_since) as minor
      from (select distinct limit_id, subject_id, currency, channel, counts_since from due where counts_since is not null) counted
    )
    select due.*, coalesce(used.minor, 0) as used_minor, dense_rank() over (order by limit_id, subject_id)::integer as place,
      lead(due.position) over in_order is distinct from due.position as ends_payment,
      is_soft and exists (select from consents.consent c where c.consent_id = p_consent_id[due.position] and limit_id = any (c.confirmed_limits)) as confirmed
    from due left join used using (limit_id, subject_id)
    window in_order as (order by due.position, due.rank, limit_id)
    order by due.position, due.rank, limit_id
  loop
    if step.counts_since is not null then places := places || step.place; end if;
    if refused[step.position] is null and not step.confirmed and step.most_minor
        < step.used_minor + step.amount_minor + (case when step.counts_since is null then 0 else coalesce(added[step.place], 0) end) then
      refused[step.position] := step.limit_id;
    end if;
    if step.ends_payment then
      if refused[step.position] is null then
        foreach place in array places loop added[place] := coalesce(added[place], 0) + step.amount_minor; end loop;
      end if;
      places := '{}';
    end if;
  end loop;
  return refused;
end $function$
;

CREATE OR REPLACE FUNCTION payments.limits_on(p_now timestamp with time zone, p_customer_id text[], p_account_id text[], p_consent_id text[], p_channel text[], p_amount_minor numeric[], p_currency text[])
 RETURNS SETOF payments.limited
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select distinct on (asked.position, l.set_by, l.scope, l.is_soft, l.channel, l.period, l.window_hours)
    asked.position::integer, l.limit_id, case l.scope when 'account' then account_id when 'customer' then customer_id else consent_id end, l.scope, l.channel,
    l.currency, amount_minor, l.most_minor,
    case when l.scope <> 'consent' then payments.counts_since(l.period, l.window_hours, p_now) end,
    l.is_soft, 2 * (case l.set_by when 'bank' then 0 else 1 end + l.is_soft::integer) + (l.period <> 'payment')::integer
  from unnest(p_customer_id, p_account_id, p_consent_id, p_channel, p_amount_minor, p_currency)
      with ordinality asked (customer_id, account_id, consent_id, channel, amount_minor, currency, position)
    cross join lateral (
      select * from payments.spending_limit named where named.ended_at is null and named.subject_id in (account_id, customer_id, consent_id)
      union all
      select * from payments.spending_limit each_one where each_one.ended_at is null and each_one.subject_id is null) l
  where l.currency = asked.currency and (l.channel is null or l.channel = asked.channel)
  order by asked.position, l.set_by, l.scope, l.is_soft, l.channel, l.period, l.window_hours, l.subject_id nulls last
$function$
;

CREATE OR REPLACE FUNCTION payments.lock_parties(p_customer_id text[], p_account_id text[])
 RETURNS payments.parties
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  limited boolean := exists (select from payments.spending_limit where ended_at is null);
  parties payments.parties;
begin
  if limited and exists (select from payments.spending_limit where ended_at is null and scope = 'customer' and period <> 'payment') then
    perform from customers.customer c where c.customer_id = any (p_customer_id) order by c.customer_id for no key update;
  end if;
  select array_agg(a.account_id), coalesce(array_agg(a.account_id) filter (where a.frozen_for is not null), '{}'),
    (select is_on from payments.straight_through), limited
  into parties
  from (select account_id, frozen_for from ledger.account where account_id = any (p_account_id) order by account_id for no key update) a;
  return parties;
end $function$
;

CREATE OR REPLACE FUNCTION payments.outcome_of(p_consent_id text, OUT status text, OUT step text, OUT rejection_reason text, OUT limit_id text)
 RETURNS record
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select p.status, p.step, p.rejection_reason, p.limit_id from payments.payment p where p.consent_id = p_consent_id
$function$
;

CREATE OR REPLACE FUNCTION payments.payment_counts()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into payments.spent as s (account_id, hour, channel, spent_minor, payment_count)
  select debtor_account_id, date_trunc('hour', created_at, 'UTC'), channel, sum(amount_minor), count(*)
  from new_payment where status <> 'rejected' group by 1, 2, 3 order by 1, 2, 3
  on conflict on constraint spent_is_counted_by_hour do update
    set spent_minor = s.spent_minor + excluded.spent_minor, payment_count = s.payment_count + excluded.payment_count;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION payments.payment_gives_back()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update payments.spent set spent_minor = spent_minor - old.amount_minor, payment_count = payment_count - 1
  where account_id = old.debtor_account_id and hour = date_trunc('hour', old.created_at, 'UTC') and channel = old.channel;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION payments.payment_is_as_consented()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  wrong text;
begin
  select n.payment_id into wrong
  from new_payment n
    left join lateral (select * from consents.consent given where given.consent_id = n.consent_id offset 0) c on true
    left join lateral (select * from ledger.account paid where paid.account_id = n.creditor_account_id offset 0) creditor on true
    left join lateral (select * from ledger.hold placed where placed.hold_id = n.hold_id offset 0) h on true
  where (
    c.status = 'COND' and c.kind = case n.channel when 'bank_api' then 'transfer' else 'domestic_payment' end
    and (c.client_id, c.customer_id, c.debtor_account_id, c.amount_minor, c.currency, c.creditor_name, c.creditor_scheme_name, c.creditor_identification)
      = (n.client_id, n.customer_id, n.debtor_account_id, n.amount_minor, n.currency, n.creditor_name, n.creditor_scheme_name, n.creditor_identification)
    and case
      when c.creditor_account_id is not null then creditor.account_id = c.creditor_account_id
      when creditor.account_number is null and creditor.iban is null then creditor.kind = 'settlement' and creditor.currency = c.currency
      when c.creditor_scheme_name = 'UK.OBIE.IBAN' then creditor.iban = upper(replace(c.creditor_identification, ' ', ''))
      else creditor.sort_code || creditor.account_number = c.creditor_identification
    end
    and case when n.hold_id is null then n.status = 'rejected'
      else (h.account_id, h.currency, h.amount_minor, h.status) = (n.debtor_account_id, n.currency, n.amount_minor, 'active') end
  ) is not true limit 1;
  if found then
    raise exception 'payment % differs from its consent', wrong
      using errcode = '23514', constraint = 'payment_is_as_consented', table = 'payment', schema = 'payments';
  end if;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION payments.payment_is_well_formed()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  problem text;
begin
  problem := case
    when not (starts_with(new.payment_id, 'pay_') and length(new.payment_id) = 36) then 'payment_id_is_prefixed'
    when new.channel not in ('uk_v4', 'bank_api') then 'payment_channel_is_known'
    when new.status not in ('held', 'posted', 'rejected') then 'payment_status_is_known'
    when new.step not in ('checks', 'review', 'cleared') then 'payment_step_is_known'
    when new.amount_minor <= 0 then 'payment_amount_is_positive'
    when new.debtor_account_id = new.creditor_account_id then 'payment_debtor_is_not_creditor'
    when new.status = 'held' and new.hold_id is null then 'payment_held_has_a_hold'
    when (new.status = 'held') <> (new.step is not null) then 'payment_step_is_of_what_is_held'
    when (new.status = 'posted') <> (new.entry_id is not null) then 'payment_posted_has_an_entry'
    when (new.status = 'rejected') <> (new.rejection_reason is not null) then 'payment_rejected_has_a_reason'
  end;
  if problem is not null then
    raise exception 'payment % is not well formed: %', new.payment_id, problem
      using errcode = '23514', constraint = problem, table = 'payment', schema = 'payments';
  end if;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION payments.payment_made_under(p_consent_id text, p_customer_id text)
 RETURNS text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select payment_id from payments.payment where consent_id = p_consent_id and customer_id = p_customer_id
$function$
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
    new.step := case new.status when 'held' then 'checks' end;
    return new;
  end if;
  if old.status = 'held' and new.status <> 'held' then
    new.step := null;
    new.lease_until := null;
    return new;
  end if;
  if old.status <> 'held' or (new.step, new.lease) = (old.step, old.lease) or new.lease < old.lease
    or (new.step <> old.step and (old.step, new.step) not in (('checks', 'review'), ('checks', 'cleared'), ('review', 'cleared'))) then
    raise exception 'payment % cannot move from % to %', old.payment_id, coalesce(old.step, old.status), coalesce(new.step, new.status)
      using errcode = '23514', constraint = 'payment_moves_forward', table = 'payment', schema = 'payments';
  end if;
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION payments.settle(p_now timestamp with time zone, p_actor text, p_payment_id text[], p_lease integer[], p_verdict text[], p_risk_score integer[], p_risk_reasons text[], p_entry_id text[], p_event_id text[], p_record_id text[], p_why text DEFAULT NULL::text)
 RETURNS TABLE(payment_id text, status text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
#variable_conflict use_column
declare
  due payments.settlement[];
  reviewed payments.settlement[];
  done payments.settlement[] := '{}';
  declined payments.settlement[] := '{}';
  one payments.settlement;
  words text[];
begin
  perform from payments.payment p where p.payment_id = any (p_payment_id) order by p.payment_id for no key update;
  select array_agg(s order by (s).payment_id) filter (where (s).decision in ('post', 'refuse', 'expire')),
    array_agg(s order by (s).payment_id) filter (where (s).decision = 'review')
  into due, reviewed
  from (
    select row(
        p.payment_id, decision, case decision when 'refuse' then 'U042' when 'expire' then 'AB03' end, p.hold_id, asked.entry_id, asked.event_id,
        asked.record_id, p.debtor_account_id, p.creditor_account_id, creditor.kind = 'customer' or creditor.account_number is not null,
        p.creditor_name, p.creditor_scheme_name, p.creditor_identification,
        case p.channel when 'bank_api' then 'Transfer' else 'Open banking payment' end, coalesce(nullif(p.reference, ''), p.end_to_end_identification),
        p.client_id, p.customer_id, p.consent_id, (p.amount_minor * ('1e-' || money.minor_digits)::numeric)::text, p.currency,
        coalesce(asked.risk_score, p.risk_score), coalesce(asked.risk_reasons::jsonb, p.risk_reasons))::payments.settlement as s
    from unnest(p_payment_id, p_lease, p_verdict, p_risk_score, p_risk_reasons, p_entry_id, p_event_id, p_record_id)
        asked (payment_id, lease, verdict, risk_score, risk_reasons, entry_id, event_id, record_id)
      join payments.payment p on p.payment_id = asked.payment_id and p.lease = asked.lease
      join ledger.currency money on money.currency = p.currency
      join ledger.account creditor on creditor.account_id = p.creditor_account_id
      cross join lateral (select case
          when p.deadline_at <= p_now then 'expire'
          when p.step = 'cleared' then 'post'
          when p.step = 'review' then case when p_actor <> 'worker' and verdict = 'refuse' then 'refuse' end
          when verdict = 'pass' then 'post'
          else verdict
        end) judged (decision)
    where p.status = 'held') judged;

  words := payments.settle_money(p_now, due);
  if 'done' <> any (words) then
    if 'hold_not_active' = any (words) then
      raise exception 'a payment waits on a hold that is not active'
        using errcode = '23514', constraint = 'payment_held_has_an_active_hold', table = 'payment', schema = 'payments';
    end if;
    -- What could not be posted after all: its funds are free again.
    for position in 1..cardinality(words) loop
      one := due[position];
      if words[position] = 'done' then
        done := done || one;
      else
        one.decision := case words[position] when 'hold_expired' then 'expire' else 'refuse' end;
        one.reason := case when words[position] = 'hold_expired' then 'AB03'
          else (select case a.status when 'open' then 'AC07' when 'closed' then 'AC04' else 'AC06' end from ledger.account a where a.account_id = one.debtor_account_id) end;
        declined := declined || one;
      end if;
    end loop;
    if 'done' <> any (payments.settle_money(p_now, declined)) then
      raise exception 'the funds of a payment could not be released'
        using errcode = '23514', constraint = 'payment_held_has_an_active_hold', table = 'payment', schema = 'payments';
    end if;
    due := done || declined;
  end if;

  return query
  with settled as (
    update payments.payment p set
      status = case s.decision when 'post' then 'posted' else 'rejected' end, status_updated_at = p_now, rejection_reason = s.reason,
      entry_id = case s.decision when 'post' then s.entry_id end, risk_score = s.risk_score, risk_reasons = s.risk_reasons
    from unnest(due) s where p.payment_id = s.payment_id and p.payment_id = any (p_payment_id)
    returning p.payment_id, p.status
  ), held_back as (
    update payments.payment p set step = 'review', lease_until = null, risk_score = s.risk_score, risk_reasons = s.risk_reasons
    from unnest(reviewed) s where p.payment_id = s.payment_id and p.payment_id = any (p_payment_id)
    returning p.payment_id, p.step
  ), known as (
    insert into payments.known_to_customer (customer_id, kind, fingerprint, first_paid_at)
    select distinct s.customer_id, k.kind, k.fingerprint, p_now
    from unnest(due) s left join consents.consent c using (consent_id)
      cross join lateral (values ('payee', s.creditor_scheme_name || ' ' || s.creditor_identification), ('device', c.authorised_device)) k (kind, fingerprint)
    where s.decision = 'post' and k.fingerprint is not null
      and (
        select true from payments.known_to_customer before
        where before.customer_id = s.customer_id and before.kind = k.kind and before.fingerprint = k.fingerprint) is null
    order by 1, 2, 3
    on conflict do nothing
  ), told as (
    insert into events.event (event_id, type, subject, client_id, customer_id, payload, occurred_at, attempts, next_attempt_at)
    select s.event_id, became.type, s.payment_id, s.client_id, s.customer_id, jsonb_strip_nulls(jsonb_build_object(
      'paymentId', s.payment_id, 'consentId', s.consent_id, 'status', became.status, 'reason', s.reason, 'amount', s.amount, 'currency', s.currency,
      'creditorName', s.creditor_name)), p_now, 0, p_now
    from unnest(due || reviewed) s cross join lateral (
      select case s.decision when 'post' then 'payment.posted' when 'review' then 'payment.in_review' else 'payment.rejected' end,
        case s.decision when 'post' then 'posted' when 'review' then 'held' else 'rejected' end) became (type, status)
  ), recorded as (
    insert into audit.record (record_id, occurred_at, actor, action, subject, details)
    select s.record_id, p_now, p_actor,
      case s.decision when 'post' then 'payment.posted' when 'review' then 'payment.in_review' else 'payment.rejected' end, s.payment_id,
      jsonb_build_object('reason', s.reason, 'score', s.risk_score)
        || case when p_why is null then '{}' else jsonb_build_object('why', p_why) end
        || case s.decision when 'review' then jsonb_build_object('reasons', s.risk_reasons) else '{}' end
    from unnest(due || reviewed) s
  )
  select * from settled union all select * from held_back;
end $function$
;

CREATE OR REPLACE FUNCTION payments.settle_money(p_now timestamp with time zone, p_settlements payments.settlement[])
 RETURNS text[]
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select (ledger.write(
    p_now, '-infinity', null, null, null, null, array(
      select distinct account_id from unnest(p_settlements) s, unnest(array[s.debtor_account_id, s.creditor_account_id]) account_id
      order by account_id),
    numbers, kinds, entry_ids, hold_ids, creditor_ids, null, null, names, scheme_names, identifications, descriptions, reference_texts, payment_ids,
    null, null, null, null, null, null, null, null, null, null, null, null, null)).outcome
  from (
    select count(*) as n, array_agg(number::integer order by number) as numbers,
      array_agg(case s.decision when 'post' then 'capture' when 'expire' then 'expire' else 'release' end order by number) as kinds,
      array_agg(case s.decision when 'post' then s.entry_id end order by number) as entry_ids, array_agg(s.hold_id order by number) as hold_ids,
      array_agg(case s.decision when 'post' then s.creditor_account_id end order by number) as creditor_ids,
      array_agg(s.creditor_name order by number) as names,
      -- Of an account here the ledger knows the number itself.
      array_agg(case when not s.creditor_is_ours then s.creditor_scheme_name end order by number) as scheme_names,
      array_agg(case when not s.creditor_is_ours then s.creditor_identification end order by number) as identifications,
      array_agg(s.description order by number) as descriptions, array_agg(s.reference order by number) as reference_texts,
      array_agg(s.payment_id order by number) as payment_ids
    from unnest(p_settlements) with ordinality s (
      payment_id, decision, reason, hold_id, entry_id, event_id, record_id, debtor_account_id, creditor_account_id, creditor_is_ours, creditor_name,
      creditor_scheme_name, creditor_identification, description, reference, client_id, customer_id, consent_id, amount, currency, risk_score,
      risk_reasons, number)
  ) a where n > 0
$function$
;

CREATE OR REPLACE FUNCTION payments.soft_limits_beyond(p_now timestamp with time zone, p_consent_id text, p_customer_id text, p_channel text)
 RETURNS TABLE(account_id text, limit_id text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select a.account_id, l.limit_id
  from consents.consent c join ledger.account a on a.customer_id = p_customer_id and a.currency = c.currency
    cross join lateral payments.limits_on(p_now, array[a.customer_id], array[a.account_id], array[c.consent_id], array[p_channel], array[c.amount_minor],
      array[c.currency]) l
    where c.consent_id = p_consent_id and l.is_soft
    and l.most_minor < l.amount_minor
      + case when l.counts_since is null then 0 else payments.spent_since(l.subject_id, l.currency, l.channel, l.counts_since) end
$function$
;

CREATE OR REPLACE FUNCTION payments.spent_since(p_subject_id text, p_currency text, p_channel text, p_since timestamp with time zone)
 RETURNS numeric
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select coalesce(sum(s.spent_minor), 0)
  from ledger.account a join payments.spent s on s.account_id = a.account_id and s.hour >= p_since
  where a.account_id = any (array(select p_subject_id union all select account_id from ledger.account where customer_id = p_subject_id))
    and a.currency = p_currency and (p_channel is null or s.channel = p_channel)
$function$
;

CREATE OR REPLACE FUNCTION payments.submit(p_submissions jsonb, p_consent_id text[], p_now timestamp with time zone, p_unused_since timestamp with time zone, p_forget_before timestamp with time zone, p_deadline_at timestamp with time zone)
 RETURNS TABLE(word text, resource_id text, status text, rejection_reason text, limit_id text, customer_id text, debtor_account_id text, creditor_account_id text, creditor_is_ours boolean, creditor_name text, creditor_scheme_name text, creditor_identification text, amount_minor numeric, currency text, instruction_identification text, end_to_end_identification text, reference text, asks_for_refund boolean)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET join_collapse_limit TO '1'
AS $function$
#variable_conflict use_column
declare
  s payments.submission;
  submissions payments.submission[] := '{}';
  due integer := 0;
  claimed integer;
  customer_ids text[] := '{}';
  each_alone boolean := true;
  -- By position: null for what is held or posted, and where no limit is in the way.
  reasons text[] := '{}';
  limit_ids text[] := '{}';
  -- By position, of what is posted at once: the score, its reasons, and whether payee and device are new.
  scores integer[] := '{}';
  score_reasons jsonb[] := '{}';
  new_payees boolean[] := '{}';
  new_devices boolean[] := '{}';
  -- By position, and what the ledger said.
  outcomes text[] := '{}';
  said text[];
  -- Of what may be paid.
  positions integer[] := '{}';
  consent_ids text[] := '{}';
  channels text[] := '{}';
  payer_ids text[] := '{}';
  account_ids text[] := '{}';
  candidates payments.assessable[] := '{}';
  parties payments.parties;
  assessed record;
  passed text[] := '{}';
  -- Those that are posted one after another, or held, and what the ledger is told of each.
  of_run integer[];
  straight boolean;
  ids text[];
  payment_ids text[];
  debtor_ids text[];
  creditor_ids text[];
  amounts numeric[];
  currencies text[];
  descriptions text[];
  reference_texts text[];
  names text[];
  scheme_names text[];
  identifications text[];
  next integer := 1;
  all_done boolean := true;
begin
  if p_now > clock_timestamp() + interval '7 days' then
    raise exception 'a payment cannot be made at %', p_now
      using errcode = '23514', constraint = 'payment_is_not_of_a_time_to_come', table = 'payment', schema = 'payments';
  end if;
  perform from consents.consent c where c.consent_id = any (p_consent_id) order by c.consent_id for no key update;

  for s in
    select asked.position, judged.word, used.resource_id,
      case
        when creditor.kind = 'settlement' and creditor.account_number is null and creditor.iban is null and (
          select true from ledger.account ours where ours.sort_code = case c.creditor_scheme_name
            when 'UK.OBIE.SortCodeAccountNumber' then left(c.creditor_identification, 6)
            when 'UK.OBIE.IBAN' then substring(upper(replace(c.creditor_identification, ' ', '')) from '^GB\d{2}[A-Z]{4}(\d{6})\d{8}$') end limit 1) then 'AC01'
        when creditor.status = 'closed' then 'AC07'
        when creditor.currency <> c.currency then 'AC11'
      end,
      asked.payment_id, asked.hold_id, asked.entry_id, asked.client_id, asked.consent_id, c.customer_id, c.authorised_device, asked.channel, c.debtor_account_id,
      creditor.account_id, creditor.kind = 'customer' or creditor.account_number is not null, c.creditor_name, c.creditor_scheme_name, c.creditor_identification,
      c.amount_minor, money.minor_digits, c.currency,
      coalesce(c.request #>> '{Data,Initiation,InstructionIdentification}', asked.own_identification),
      coalesce(c.request #>> '{Data,Initiation,EndToEndIdentification}', asked.own_identification),
      coalesce(c.reference, case asked.channel when 'bank_api' then asked.initiation ->> 'reference' end, ''),
      c.request #>> '{Data,ReadRefundAccount}' = 'Yes', asked.interaction_id, asked.method, asked.endpoint, asked.key, decode(asked.request_hash, 'hex'),
      asked.consumed_event_id, asked.payment_event_id, asked.consumed_record_id, asked.payment_record_id
    from jsonb_to_recordset(p_submissions) asked (
        position integer, payment_id text, hold_id text, entry_id text, client_id text, consent_id text, token_hash text, channel text, initiation jsonb,
        own_identification text, interaction_id text, method text, endpoint text, key text, request_hash text,
        consumed_event_id text, payment_event_id text, consumed_record_id text, payment_record_id text)
      left join clients.client cl on cl.client_id = asked.client_id
      left join consents.consent c on c.consent_id = asked.consent_id
      left join oidc.grant g on g.grant_id = c.grant_id
      left join lateral (
        select claimed.created_at > p_forget_before as remembered, claimed.request_hash, claimed.resource_id from payments.idempotent_request claimed
        where (claimed.client_id, claimed.method, claimed.endpoint, claimed.key) = (asked.client_id, asked.method, asked.endpoint, asked.key)
        order by claimed.generation desc limit 1) used on true
      left join ledger.currency money on money.currency = c.currency
      left join ledger.account creditor on creditor.account_id = coalesce(
        c.creditor_account_id,
        case c.creditor_scheme_name
          when 'UK.OBIE.SortCodeAccountNumber' then (
            select named.account_id from ledger.account named
            where named.sort_code = left(c.creditor_identification, 6) and named.account_number = substr(c.creditor_identification, 7))
          when 'UK.OBIE.IBAN' then (
            select named.account_id from ledger.account named where named.iban = upper(replace(c.creditor_identification, ' ', '')))
        end,
        (select settlement.account_id from ledger.account settlement
          where settlement.kind = 'settlement' and settlement.account_number is null and settlement.iban is null and settlement.currency = c.currency
          order by settlement.account_id limit 1))
      cross join lateral (select case
        when cl.status is distinct from 'active' then 'client_blocked'
        when asked.token_hash is not null and (select true from oidc.revoked_token r where r.token_hash = decode(asked.token_hash, 'hex')) then 'grant_revoked'
        when c.client_id = asked.client_id and c.grant_id is not null and (g.client_id = c.client_id and g.revoked_at is null and g.expires_at > p_now) is not true
          then 'grant_revoked'
        when used.remembered then case when used.request_hash = decode(asked.request_hash, 'hex') then 'replayed' else 'idempotency_key_reused' end
        when c.consent_id is null then 'consent_not_found'
        when c.client_id <> asked.client_id then 'consent_not_yours'
        when c.deleted_at is not null then 'consent_not_found'
        when c.kind = 'account_access' then 'consent_not_authorised'
        when c.status = 'COND' then 'consent_already_used'
        when c.authorised_at <= p_unused_since then 'consent_not_authorised'
        when (c.status = 'AUTH' and c.customer_id is not null and c.debtor_account_id is not null and c.grant_id is not null) is not true
          then 'consent_not_authorised'
        when case asked.channel
          when 'uk_v4' then c.kind = 'domestic_payment' and asked.initiation = jsonb_build_object('Initiation', c.request #> '{Data,Initiation}')
            || case when c.request ? 'Risk' then jsonb_build_object('Risk', c.request -> 'Risk') else '{}' end
          when 'bank_api' then c.kind = 'transfer' and (asked.initiation ->> 'amount_minor')::numeric = c.amount_minor and asked.initiation ->> 'currency' = c.currency
            and asked.initiation ->> 'debtor_account_id' = c.debtor_account_id
            and asked.initiation ->> 'creditor_account_id' = c.request #>> '{creditorAccount,account_id}'
            and (not c.request ? 'remittanceInformation' or asked.initiation ->> 'reference' = c.request ->> 'remittanceInformation')
          end is not true then 'consent_mismatch'
        when creditor.account_id = c.debtor_account_id then 'account_not_usable'
        end) judged (word)
    order by asked.position
  loop
    submissions := submissions || s;
    if s.position is distinct from cardinality(submissions) then
      raise exception 'payment % of a call does not stand at its place', s.payment_id
        using errcode = '23514', constraint = 'call_is_in_order', table = 'payment', schema = 'payments';
    end if;
    each_alone := each_alone and (s.customer_id = any (customer_ids)) is not true;
    customer_ids := customer_ids || s.customer_id;
    if s.word is null then
      if (starts_with(s.payment_id, 'pay_') and length(s.payment_id) = 36) is not true then
        raise exception 'payment % is not well formed', s.payment_id
          using errcode = '23514', constraint = 'payment_id_is_prefixed', table = 'payment', schema = 'payments';
      end if;
      due := due + 1;
      if s.reason is null then
        positions := positions || s.position;
        consent_ids := consent_ids || s.consent_id;
        channels := channels || s.channel;
        payer_ids := payer_ids || s.customer_id;
        account_ids := account_ids || array[s.debtor_account_id, s.creditor_account_id];
        if s.entry_id is not null then
          candidates := candidates || row(s.position, s.customer_id, s.debtor_account_id, s.amount_minor, s.minor_digits,
            s.creditor_scheme_name || ' ' || s.creditor_identification, s.device, p_now, false)::payments.assessable;
        end if;
      end if;
    end if;
  end loop;

  if positions <> '{}' then
    parties := payments.lock_parties(payer_ids, account_ids);
    if parties.limited then
      said := payments.limits_in_the_way(p_now, consent_ids, channels);
    end if;
    if array_remove(said, null) <> '{}' then
      select array_agg(o.limit_id order by s.position) into limit_ids
      from unnest(submissions) s left join unnest(positions, said) o (position, limit_id) using (position);
      positions := array(select position from unnest(positions) position where limit_ids[position] is null order by position);
    end if;
    if each_alone and parties.straight_through then
      for assessed in select * from payments.assess(candidates) loop
        if assessed.verdict = 'pass' and (parties.frozen = '{}' or submissions[assessed.position].creditor_account_id <> all (parties.frozen)) then
          passed[assessed.position] := assessed.verdict;
          scores[assessed.position] := assessed.score;
          score_reasons[assessed.position] := assessed.reasons;
          new_payees[assessed.position] := assessed.new_payee;
          new_devices[assessed.position] := assessed.new_device and submissions[assessed.position].device is not null;
        end if;
      end loop;
    end if;
    -- What is posted and what is held, each run of them in one call, in the order in which they came.
    while next <= cardinality(positions) loop
      straight := passed[positions[next]] is not null;
      of_run := '{}';
      ids := '{}';
      payment_ids := '{}';
      debtor_ids := '{}';
      creditor_ids := '{}';
      amounts := '{}';
      currencies := '{}';
      descriptions := '{}';
      reference_texts := '{}';
      names := '{}';
      scheme_names := '{}';
      identifications := '{}';
      while next <= cardinality(positions) and (passed[positions[next]] is not null) = straight loop
        s := submissions[positions[next]];
        of_run := of_run || s.position;
        ids := ids || case when straight then s.entry_id else s.hold_id end;
        debtor_ids := debtor_ids || s.debtor_account_id;
        amounts := amounts || s.amount_minor;
        currencies := currencies || s.currency;
        if straight then
          payment_ids := payment_ids || s.payment_id;
          creditor_ids := creditor_ids || s.creditor_account_id;
          descriptions := descriptions || case s.channel when 'bank_api' then 'Transfer' else 'Open banking payment' end;
          reference_texts := reference_texts || coalesce(nullif(s.reference, ''), s.end_to_end_identification);
          names := names || s.creditor_name;
          -- Of an account here the ledger knows the number itself.
          scheme_names := scheme_names || case when not s.creditor_is_ours then s.creditor_scheme_name end;
          identifications := identifications || case when not s.creditor_is_ours then s.creditor_identification end;
        end if;
        next := next + 1;
      end loop;
      if straight then
        said := ledger.write_payments(p_now, ids, payment_ids, debtor_ids, creditor_ids, amounts, currencies, descriptions, reference_texts, names, scheme_names,
          identifications);
      else
        said := ledger.place_holds(ids, debtor_ids, amounts, currencies, p_now, p_deadline_at);
      end if;
      for number in 1..cardinality(of_run) loop
        outcomes[of_run[number]] := said[number];
        all_done := all_done and said[number] in ('done', 'held');
      end loop;
    end loop;
  end if;
  -- What has no funds counts towards no limit, and was counted.
  if limit_ids <> '{}' and 'insufficient_funds' = any (outcomes) then
    raise exception 'whether a limit is in the way is to be asked one by one'
      using errcode = '23514', constraint = 'limited_without_funds_alone', table = 'payment', schema = 'payments';
  end if;
  if due > cardinality(positions) or not all_done then
    select array_agg(coalesce(s.reason,
        (select case l.period when 'payment' then 'AM02' else 'AM14' end from payments.spending_limit l where l.limit_id = limit_ids[s.position]),
        case outcomes[s.position]
          when 'insufficient_funds' then 'AM04'
          when 'account_not_usable' then (
            select case a.status when 'open' then 'AC07' when 'closed' then 'AC04' else 'AC06' end from ledger.account a where a.account_id = s.debtor_account_id)
        end) order by s.position)
    into reasons
    from unnest(submissions) s;
  end if;
  if not all_done then
    if exists (select from unnest(outcomes) outcome where outcome not in ('done', 'held', 'insufficient_funds', 'account_not_usable')) then
      raise exception 'the ledger says % of a payment', outcomes
        using errcode = '23514', constraint = 'payment_is_as_consented', table = 'payment', schema = 'payments';
    end if;
  end if;

  if due > 0 then
    -- Only a key may still be waited for, and not for long: its first request is then still running.
    said[1] := set_config('lock_timeout', '250ms', true);
    if true = any (new_payees) or true = any (new_devices) then
      insert into payments.known_to_customer (customer_id, kind, fingerprint, first_paid_at)
      select distinct s.customer_id, known.kind, known.fingerprint, p_now
      from unnest(submissions) s cross join lateral (values
        ('payee', s.creditor_scheme_name || ' ' || s.creditor_identification, new_payees[s.position]), ('device', s.device, new_devices[s.position]))
        known (kind, fingerprint, is_new)
      where known.is_new and outcomes[s.position] = 'done' order by 1, 2, 3
      on conflict do nothing;
    end if;
    with made as (
      select s.*, reasons[s.position] as why, limit_ids[s.position] as limit_id,
        case when reasons[s.position] is not null then 'rejected' when passed[s.position] is not null then 'posted' else 'held' end as status,
        case s.channel
          when 'bank_api' then '{"kind": "transfer", "status": "COND", "reason": "U038"}'::jsonb
          else '{"kind": "domestic_payment", "status": "COND", "reason": "U038"}'
        end as consumed
      from unnest(submissions) s where s.word is null
    ), consumed as (
      update consents.consent c set status = 'COND', status_updated_at = p_now, status_reason_code = 'U038',
        status_reason_description = 'The consent was used for a payment'
      from made where c.consent_id = made.consent_id
    ), paid as (
      insert into payments.payment (
        payment_id, consent_id, client_id, customer_id, channel, status, step, status_updated_at, rejection_reason, limit_id, debtor_account_id,
        creditor_account_id, creditor_name, creditor_scheme_name, creditor_identification, amount_minor, currency,
        instruction_identification, end_to_end_identification, reference, hold_id, entry_id, risk_score, risk_reasons, created_at, deadline_at)
      select payment_id, consent_id, client_id, customer_id, channel, status, case status when 'held' then 'checks' end, p_now, why, limit_id,
        debtor_account_id, creditor_account_id, creditor_name, creditor_scheme_name, creditor_identification, amount_minor, currency,
        instruction_identification, end_to_end_identification, reference, case status when 'held' then hold_id end,
        case status when 'posted' then entry_id end, case status when 'posted' then scores[position] end,
        case status when 'posted' then score_reasons[position] end, p_now, case status when 'held' then p_deadline_at else p_now end
      from made
    ), counted as (
      insert into payments.spent as s (account_id, hour, channel, spent_minor, payment_count)
      select debtor_account_id, date_trunc('hour', p_now, 'UTC'), channel, sum(amount_minor), count(*)
      from made where status <> 'rejected' group by 1, 2, 3 order by 1, 2, 3
      on conflict on constraint spent_is_counted_by_hour do update
        set spent_minor = s.spent_minor + excluded.spent_minor, payment_count = s.payment_count + excluded.payment_count
    ), events as (
      select consumed_event_id as event_id, 'consent.consumed' as type, consent_id as subject, client_id, null as customer_id, consumed as payload from made
      union all
      -- Of a consent that was used for a payment its customer is told by the payment.
      select payment_event_id, 'payment.' || status, payment_id, client_id, customer_id, jsonb_strip_nulls(jsonb_build_object(
        'paymentId', payment_id, 'consentId', consent_id, 'status', status, 'reason', why,
        'amount', (amount_minor * ('1e-' || minor_digits)::numeric)::text, 'currency', currency, 'creditorName', creditor_name))
      from made
    ), told as (
      insert into events.event (event_id, type, subject, client_id, customer_id, payload, occurred_at, attempts, delivered_at)
      select event_id, type, subject, client_id, customer_id, payload, p_now, 0, p_now from events
    ), notified as (
      insert into events.notification (event_id, customer_id, occurred_at, type, payload)
      select event_id, customer_id, p_now, type, payload from events where customer_id is not null
    ), recorded as (
      insert into audit.record (record_id, occurred_at, actor, action, subject, interaction_id, details)
      select consumed_record_id, p_now, client_id, 'consent.consumed', consent_id, interaction_id, consumed from made
      union all
      select payment_record_id, p_now, client_id, 'payment.submitted', payment_id, interaction_id, jsonb_build_object(
          'consentId', consent_id, 'customerId', customer_id, 'status', status, 'reason', why)
        || case status when 'held' then jsonb_build_object('holdId', hold_id) else '{}' end
        || case when limit_id is null then '{}' else jsonb_build_object('limit', limit_id) end
        || case status when 'posted' then jsonb_build_object('entryId', entry_id, 'score', scores[position]) else '{}' end
      from made
    ), claimed as (
      insert into payments.idempotent_request as r (client_id, method, endpoint, key, request_hash, resource_id, created_at)
      select client_id, method, endpoint, key, request_hash, payment_id, p_now from made order by client_id, method, endpoint, key
      on conflict on constraint idempotent_request_is_claimed_once
        do update set request_hash = excluded.request_hash, resource_id = excluded.resource_id, created_at = excluded.created_at
        where r.created_at <= p_forget_before
      returning 1
    )
    select count(*) into claimed from claimed;
    -- Another process claimed one of these keys while this call waited for it. Asked again, this is seen.
    if claimed <> due then
      raise exception 'a key was claimed meanwhile' using errcode = '40001', constraint = 'idempotent_request_is_claimed_once',
        table = 'idempotent_request', schema = 'payments';
    end if;
  end if;

  return query
    select s.word, s.resource_id,
      case when s.word is null then case when reasons[s.position] is not null then 'rejected' when passed[s.position] is not null then 'posted' else 'held' end end,
      reasons[s.position], limit_ids[s.position], s.customer_id, s.debtor_account_id, s.creditor_account_id, s.creditor_is_ours,
      s.creditor_name, s.creditor_scheme_name, s.creditor_identification, s.amount_minor, s.currency,
      s.instruction_identification, s.end_to_end_identification, s.reference, s.asks_for_refund
    from unnest(submissions) s order by s.position;
end $function$
;

CREATE TRIGGER tree_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.archive FOR EACH STATEMENT EXECUTE FUNCTION audit.tree_is_append_only();

CREATE TRIGGER tree_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.checkpoint FOR EACH STATEMENT EXECUTE FUNCTION audit.tree_is_append_only();

CREATE TRIGGER record_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.record FOR EACH STATEMENT EXECUTE FUNCTION audit.record_is_append_only();

CREATE TRIGGER tree_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.seal FOR EACH STATEMENT EXECUTE FUNCTION audit.tree_is_append_only();

CREATE TRIGGER tree_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.tree_node FOR EACH STATEMENT EXECUTE FUNCTION audit.tree_is_append_only();

CREATE TRIGGER consent_moves_forward AFTER UPDATE ON consents.consent FOR EACH ROW WHEN (CURRENT_USER <> 'bankside_payments'::text) EXECUTE FUNCTION consents.consent_moves_forward();

CREATE TRIGGER consent_pays_whom_it_shows AFTER INSERT ON consents.consent FOR EACH ROW WHEN (new.creditor_account_id IS NOT NULL) EXECUTE FUNCTION consents.consent_pays_whom_it_shows();

CREATE TRIGGER consent_terms_never_change AFTER UPDATE OF consent_id, client_id, kind, created_at, request, permissions, expires_at, transaction_from, transaction_to, amount_minor, currency, creditor_name, creditor_scheme_name, creditor_identification, creditor_account_id, reference, customer_id, debtor_account_id ON consents.consent FOR EACH ROW EXECUTE FUNCTION consents.consent_terms_never_change();

CREATE TRIGGER consent_well_formed AFTER INSERT OR UPDATE ON consents.consent FOR EACH ROW WHEN (CURRENT_USER <> 'bankside_payments'::text) EXECUTE FUNCTION consents.consent_is_well_formed();

CREATE TRIGGER account_changed AFTER UPDATE OF status, overdraft_minor, customer_id, kind, currency ON ledger.account FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status OR old.overdraft_minor IS DISTINCT FROM new.overdraft_minor OR old.customer_id IS DISTINCT FROM new.customer_id OR old.kind IS DISTINCT FROM new.kind OR old.currency IS DISTINCT FROM new.currency) EXECUTE FUNCTION audit.account_changed();

CREATE TRIGGER account_held_is_not_negative AFTER INSERT OR UPDATE OF held_minor ON ledger.account FOR EACH ROW WHEN (new.held_minor < '0'::numeric) EXECUTE FUNCTION ledger.account_held_is_not_negative();

CREATE TRIGGER account_is_well_formed AFTER INSERT OR UPDATE OF account_id, kind, status, customer_id, type_code, sort_code, account_number, overdraft_minor ON ledger.account FOR EACH ROW EXECUTE FUNCTION ledger.account_is_well_formed();

CREATE TRIGGER account_takes_nothing_until_reconciled AFTER UPDATE OF posted_minor ON ledger.account FOR EACH ROW WHEN (old.frozen_for IS NOT NULL) EXECUTE FUNCTION ledger.account_takes_nothing_until_reconciled();

CREATE TRIGGER entry_is_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.entry FOR EACH STATEMENT EXECUTE FUNCTION ledger.booking_is_immutable();

CREATE TRIGGER entry_is_sound AFTER INSERT ON ledger.entry FOR EACH ROW WHEN (CURRENT_USER <> 'bankside_books'::text) EXECUTE FUNCTION ledger.entry_is_sound();

CREATE CONSTRAINT TRIGGER entry_posts_a_payment_once AFTER INSERT ON ledger.entry DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.payment_id IS NOT NULL AND (SESSION_USER <> 'bankside_resource_api'::name OR CURRENT_USER <> 'bankside_books'::name)) EXECUTE FUNCTION ledger.entry_posts_a_payment_once();

CREATE TRIGGER exchange_is_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.exchange FOR EACH STATEMENT EXECUTE FUNCTION ledger.booking_is_immutable();

CREATE TRIGGER hold_currency_matches_account AFTER INSERT ON ledger.hold REFERENCING NEW TABLE AS new_hold FOR EACH STATEMENT EXECUTE FUNCTION ledger.hold_currency_matches_account();

CREATE TRIGGER hold_given_back AFTER UPDATE ON ledger.hold FOR EACH ROW WHEN (old.status = 'active'::text AND (new.status = ANY (ARRAY['released'::text, 'expired'::text]))) EXECUTE FUNCTION audit.hold_given_back();

CREATE TRIGGER hold_moves_forward BEFORE UPDATE ON ledger.hold FOR EACH ROW EXECUTE FUNCTION ledger.hold_moves_forward();

CREATE TRIGGER posting_is_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.posting FOR EACH STATEMENT EXECUTE FUNCTION ledger.booking_is_immutable();

CREATE TRIGGER posting_is_sound AFTER INSERT ON ledger.posting FOR EACH ROW WHEN (CURRENT_USER <> 'bankside_books'::text) EXECUTE FUNCTION ledger.posting_is_sound();

CREATE TRIGGER rate_is_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.rate FOR EACH STATEMENT EXECUTE FUNCTION ledger.booking_is_immutable();

CREATE TRIGGER rate_recorded AFTER INSERT ON ledger.rate FOR EACH ROW EXECUTE FUNCTION audit.rate_recorded();

CREATE TRIGGER used_stays_used BEFORE UPDATE ON oidc.authorization_code FOR EACH ROW WHEN (old.consumed_at IS NOT NULL) EXECUTE FUNCTION oidc.used_stays_used();

CREATE TRIGGER decided_stays_decided BEFORE UPDATE ON oidc.backchannel_authentication_request FOR EACH ROW WHEN (old.outcome IS NOT NULL) EXECUTE FUNCTION oidc.decided_stays_decided();

CREATE TRIGGER grant_ended AFTER UPDATE ON oidc."grant" FOR EACH ROW WHEN (old.revoked_at IS NULL AND new.revoked_at IS NOT NULL) EXECUTE FUNCTION audit.grant_ended();

CREATE TRIGGER revoked_stays_revoked BEFORE UPDATE ON oidc."grant" FOR EACH ROW WHEN (old.revoked_at IS NOT NULL) EXECUTE FUNCTION oidc.revoked_stays_revoked();

CREATE TRIGGER used_stays_used BEFORE UPDATE ON oidc.pushed_authorization_request FOR EACH ROW WHEN (old.consumed_at IS NOT NULL) EXECUTE FUNCTION oidc.used_stays_used();

CREATE TRIGGER used_stays_used BEFORE UPDATE ON oidc.refresh_token FOR EACH ROW WHEN (old.consumed_at IS NOT NULL) EXECUTE FUNCTION oidc.used_stays_used();

CREATE TRIGGER payment_begins BEFORE INSERT ON payments.payment FOR EACH ROW WHEN (CURRENT_USER::text <> 'bankside_payments'::text) EXECUTE FUNCTION payments.payment_moves_forward();

CREATE TRIGGER payment_counts AFTER INSERT ON payments.payment REFERENCING NEW TABLE AS new_payment FOR EACH STATEMENT WHEN (CURRENT_USER::text <> 'bankside_payments'::text) EXECUTE FUNCTION payments.payment_counts();

CREATE TRIGGER payment_gives_back AFTER UPDATE ON payments.payment FOR EACH ROW WHEN (old.status <> 'rejected'::text AND new.status = 'rejected'::text) EXECUTE FUNCTION payments.payment_gives_back();

CREATE TRIGGER payment_is_as_consented AFTER INSERT ON payments.payment REFERENCING NEW TABLE AS new_payment FOR EACH STATEMENT WHEN (CURRENT_USER::text <> 'bankside_payments'::text) EXECUTE FUNCTION payments.payment_is_as_consented();

CREATE TRIGGER payment_is_well_formed AFTER INSERT OR UPDATE OF payment_id, channel, status, step, amount_minor, debtor_account_id, creditor_account_id, hold_id, entry_id, rejection_reason ON payments.payment FOR EACH ROW WHEN (CURRENT_USER <> 'bankside_payments'::text) EXECUTE FUNCTION payments.payment_is_well_formed();

CREATE TRIGGER payment_moves_forward BEFORE UPDATE ON payments.payment FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status OR old.step IS DISTINCT FROM new.step OR new.lease <= old.lease) EXECUTE FUNCTION payments.payment_moves_forward();

CREATE TRIGGER limit_is_fixed BEFORE DELETE OR UPDATE ON payments.spending_limit FOR EACH ROW EXECUTE FUNCTION payments.limit_is_fixed();

alter table consents.consent enable row level security;

alter table payments.spending_limit enable row level security;

create policy auth_server_decides on consents.consent for UPDATE to bankside_auth_server using (true) with check (((status <> 'COND'::text) AND (deleted_at IS NULL)));

create policy auth_server_ends_customers_own on payments.spending_limit for UPDATE to bankside_auth_server using ((set_by = 'customer'::text)) with check ((set_by = 'customer'::text));

create policy auth_server_lodges on consents.consent for INSERT to bankside_auth_server using () with check (((status = 'AWAU'::text) AND (grant_id IS NULL) AND ((kind = 'transfer'::text) OR (customer_id IS NULL))));

create policy auth_server_sets_customers_own on payments.spending_limit for INSERT to bankside_auth_server using () with check ((set_by = 'customer'::text));

create policy everyone_reads on consents.consent for SELECT to public using (true) with check ();

create policy everyone_reads on payments.spending_limit for SELECT to public using (true) with check ();

create policy payments_spends on consents.consent for UPDATE to bankside_payments using (true) with check ((status = 'COND'::text));

create policy resource_api_lodges on consents.consent for INSERT to bankside_resource_api using () with check (((kind <> 'transfer'::text) AND (status = 'AWAU'::text) AND (customer_id IS NULL) AND (grant_id IS NULL) AND (confirmed_limits = '{}'::text[])));

create policy resource_api_spends on consents.consent for UPDATE to bankside_resource_api using (true) with check (((status <> 'AUTH'::text) OR (deleted_at IS NOT NULL)));

create policy worker_lets_expire on consents.consent for UPDATE to bankside_worker using (true) with check ((status = ANY (ARRAY['RJCT'::text, 'EXPD'::text])));

grant delete on clients.remote_document to bankside_worker;
grant delete on customers.sca_challenge to bankside_worker;
grant delete on customers.session to bankside_worker;
grant delete on customers.sign_in_attempt to bankside_worker;
grant delete on oidc."grant" to bankside_worker;
grant delete on oidc.authorization_code to bankside_worker;
grant delete on oidc.backchannel_authentication_request to bankside_worker;
grant delete on oidc.backchannel_logout to bankside_worker;
grant delete on oidc.interaction to bankside_worker;
grant delete on oidc.journey to bankside_worker;
grant delete on oidc.prompted_customer to bankside_worker;
grant delete on oidc.pushed_authorization_request to bankside_worker;
grant delete on oidc.refresh_token to bankside_worker;
grant delete on oidc.revoked_token to bankside_worker;
grant delete on oidc.session to bankside_worker;
grant delete on oidc.used_identifier to bankside_worker;
grant delete, insert, select on consents.consent_account to bankside_auth_server;
grant delete, insert, select on ledger.movement to bankside_books;
grant delete, insert, select, update on customers.session to bankside_auth_server;
grant delete, insert, select, update on customers.sign_in_attempt to bankside_auth_server;
grant delete, insert, select, update on oidc.interaction to bankside_auth_server;
grant delete, insert, select, update on oidc.journey to bankside_auth_server;
grant delete, insert, select, update on oidc.refresh_token to bankside_auth_server;
grant delete, insert, select, update on oidc.session to bankside_auth_server;
grant delete, select on clients.certificate to bankside_worker;
grant delete, select on customers.totp_step_used to bankside_worker;
grant delete, select on oidc.backchannel_notification to bankside_worker;
grant execute on function audit.is_archived(p_payment_id text) to bankside_auth_server;
grant execute on function audit.is_archived(p_payment_id text) to bankside_resource_api;
grant execute on function audit.is_archived(p_payment_id text) to bankside_sealer;
grant execute on function audit.partitions_to_archive() to bankside_worker;
grant execute on function audit.records_to_prove(p_payment_id text) to bankside_auth_server;
grant execute on function audit.records_to_prove(p_payment_id text) to bankside_resource_api;
grant execute on function audit.records_to_prove(p_payment_id text) to bankside_sealer;
grant execute on function audit.seals_to_prove(p_payment_id text) to bankside_auth_server;
grant execute on function audit.seals_to_prove(p_payment_id text) to bankside_resource_api;
grant execute on function audit.seals_to_prove(p_payment_id text) to bankside_sealer;
grant execute on function clients.apply_register_entry(p_directory text, p_organisation_id text, p_active boolean, p_roles text[], p_now timestamp with time zone, p_next timestamp with time zone) to bankside_worker;
grant execute on function clients.change_third_party(p_client_id text, p_name text, p_metadata jsonb, p_now timestamp with time zone) to bankside_auth_server;
grant execute on function clients.end_third_party(p_client_id text, p_now timestamp with time zone) to bankside_auth_server;
grant execute on function clients.enter_third_party(p_client_id text, p_profile text, p_name text, p_metadata jsonb, p_now timestamp with time zone) to bankside_auth_server;
grant execute on function clients.use_initial_access_token(p_token_hash bytea, p_now timestamp with time zone) to bankside_auth_server;
grant execute on function consents.account_of_customer(p_customer_id text, p_scheme_name text, p_identification text) to bankside_auth_server;
grant execute on function consents.account_to_credit(p_scheme_name text, p_identification text, p_currency text) to bankside_auth_server;
grant execute on function consents.account_to_credit(p_scheme_name text, p_identification text, p_currency text) to bankside_resource_api;
grant execute on function consents.claim_grant(p_grant_id text) to bankside_auth_server;
grant execute on function consents.end_grant(p_grant_id text, p_now timestamp with time zone) to bankside_auth_server;
grant execute on function consents.end_grant(p_grant_id text, p_now timestamp with time zone) to bankside_resource_api;
grant execute on function consents.end_grant(p_grant_id text, p_now timestamp with time zone) to bankside_worker;
grant execute on function consents.payee_of_account(p_account_id text) to bankside_auth_server;
grant execute on function customers.reseal_totp_secrets(p_customer_ids text[], p_before bytea[], p_after bytea[]) to bankside_auth_server;
grant execute on function events.all_or_nothing(p_done bigint, p_wanted bigint) to bankside_auth_server;
grant execute on function housekeeping.analyse_next(p_skip integer) to bankside_worker;
grant execute on function housekeeping.begin_generation(p_now timestamp with time zone, p_skip integer) to bankside_worker;
grant execute on function housekeeping.drop_generation(p_now timestamp with time zone, p_skip integer) to bankside_worker;
grant execute on function housekeeping.drop_partition(p_now timestamp with time zone, p_skip integer) to bankside_worker;
grant execute on function housekeeping.generation_state() to bankside_worker;
grant execute on function housekeeping.make_next_partition(p_now timestamp with time zone, p_skip integer) to bankside_worker;
grant execute on function housekeeping.partition_state(p_now timestamp with time zone) to bankside_worker;
grant execute on function ledger.account_is_well_formed() to public;
grant execute on function ledger.entries_to_prove(p_payment_id text) to bankside_auth_server;
grant execute on function ledger.entries_to_prove(p_payment_id text) to bankside_resource_api;
grant execute on function ledger.entries_to_prove(p_payment_id text) to bankside_sealer;
grant execute on function ledger.freeze_account(p_account_id text, p_why text) to bankside_worker;
grant execute on function ledger.legs_of_holds(p_now timestamp with time zone, p_movement integer[], p_kind text[], p_id text[], p_target text[], p_account_id text[], p_amount_minor numeric[], p_name text[], p_scheme_name text[], p_identification text[]) to bankside_books;
grant execute on function ledger.legs_of_reversals(p_movement integer[], p_kind text[], p_id text[], p_target text[], p_amount_minor numeric[], p_leg_operation integer[], p_leg_account_id text[], p_leg_amount_minor numeric[]) to bankside_books;
grant execute on function ledger.open_account(p_account_id text, p_customer_id text, p_kind text, p_currency text, p_nickname text, p_holder_name text, p_type_code text, p_sort_code text, p_account_number text, p_iban text, p_overdraft_minor numeric, p_now timestamp with time zone) to bankside_ledger;
grant execute on function ledger.party_of(account ledger.account) to bankside_books;
grant execute on function ledger.place_hold(p_hold_id text, p_account_id text, p_amount_minor numeric, p_currency text, p_now timestamp with time zone, p_expires_at timestamp with time zone) to bankside_resource_api;
grant execute on function ledger.place_holds(p_hold_id text[], p_account_id text[], p_amount_minor numeric[], p_currency text[], p_now timestamp with time zone, p_expires_at timestamp with time zone) to bankside_payments;
grant execute on function ledger.postings_to_prove(p_payment_id text) to bankside_auth_server;
grant execute on function ledger.postings_to_prove(p_payment_id text) to bankside_resource_api;
grant execute on function ledger.postings_to_prove(p_payment_id text) to bankside_sealer;
grant execute on function ledger.raise_unsound(p_constraint text, p_table text) to bankside_books;
grant execute on function ledger.raise_unsound(p_constraint text, p_table text) to bankside_payments;
grant execute on function ledger.release_hold(p_hold_id text, p_status text, p_now timestamp with time zone) to bankside_worker;
grant execute on function ledger.reversed_beyond(p_entry_id text[]) to bankside_books;
grant execute on function ledger.settled_before() to bankside_ledger;
grant execute on function ledger.settled_before() to bankside_sealer;
grant execute on function ledger.settled_before() to bankside_worker;
grant execute on function ledger.ten_to_the(exponent integer) to bankside_books;
grant execute on function ledger.worth(amount_minor numeric, price_units numeric, price_scale integer, base_digits integer, quote_digits integer) to bankside_books;
grant execute on function ledger.worth(amount_minor numeric, price_units numeric, price_scale integer, base_digits integer, quote_digits integer) to bankside_ledger;
grant execute on function ledger.write(p_now timestamp with time zone, p_forget_before timestamp with time zone, p_actor text, p_key uuid[], p_request_hash bytea[], p_made text[], p_account_id text[], p_operation_movement integer[], p_operation_kind text[], p_operation_id text[], p_operation_target text[], p_operation_account_id text[], p_operation_amount_minor numeric[], p_operation_currency text[], p_operation_name text[], p_operation_scheme_name text[], p_operation_identification text[], p_operation_description text[], p_operation_reference text[], p_operation_payment_id text[], p_operation_value_date date[], p_operation_expires_at timestamp with time zone[], p_operation_actor text[], p_operation_interaction_id text[], p_leg_operation integer[], p_leg_account integer[], p_leg_other integer[], p_leg_currency text[], p_leg_amount_minor numeric[], p_leg_held_minor numeric[], p_leg_name text[], p_leg_scheme_name text[], p_leg_identification text[], p_exchanges jsonb, p_record_movement integer[], p_record_id text[], p_record_actor text[], p_record_action text[], p_record_subject text[], p_record_interaction_id text[], p_record_details text[], OUT outcome text[], OUT replayed text[]) to bankside_ledger;
grant execute on function ledger.write(p_now timestamp with time zone, p_forget_before timestamp with time zone, p_actor text, p_key uuid[], p_request_hash bytea[], p_made text[], p_account_id text[], p_operation_movement integer[], p_operation_kind text[], p_operation_id text[], p_operation_target text[], p_operation_account_id text[], p_operation_amount_minor numeric[], p_operation_currency text[], p_operation_name text[], p_operation_scheme_name text[], p_operation_identification text[], p_operation_description text[], p_operation_reference text[], p_operation_payment_id text[], p_operation_value_date date[], p_operation_expires_at timestamp with time zone[], p_operation_actor text[], p_operation_interaction_id text[], p_leg_operation integer[], p_leg_account integer[], p_leg_other integer[], p_leg_currency text[], p_leg_amount_minor numeric[], p_leg_held_minor numeric[], p_leg_name text[], p_leg_scheme_name text[], p_leg_identification text[], p_exchanges jsonb, p_record_movement integer[], p_record_id text[], p_record_actor text[], p_record_action text[], p_record_subject text[], p_record_interaction_id text[], p_record_details text[], OUT outcome text[], OUT replayed text[]) to bankside_payments;
grant execute on function ledger.write_holds(p_now timestamp with time zone, p_accepted boolean[], p_movement integer[], p_kind text[], p_id text[], p_target text[], p_account_id text[], p_amount_minor numeric[], p_currency text[], p_expires_at timestamp with time zone[]) to bankside_books;
grant execute on function ledger.write_payments(p_now timestamp with time zone, p_entry_id text[], p_payment_id text[], p_debtor_account_id text[], p_creditor_account_id text[], p_amount_minor numeric[], p_currency text[], p_description text[], p_reference text[], p_creditor_name text[], p_creditor_scheme_name text[], p_creditor_identification text[]) to bankside_payments;
grant execute on function ledger.write_transfer(p_now timestamp with time zone, p_key uuid, p_request_hash bytea, p_entry_id text, p_kind text, p_from text, p_to text, p_amount_minor numeric, p_currency text, p_description text, p_reference text, p_value_date date, p_debtor_name text, p_debtor_scheme_name text, p_debtor_identification text, p_creditor_name text, p_creditor_scheme_name text, p_creditor_identification text, p_actor text, p_interaction_id text) to bankside_ledger;
grant execute on function payments.assess(p_payments payments.assessable[]) to bankside_payments;
grant execute on function payments.assess(p_payments payments.assessable[]) to bankside_worker;
grant execute on function payments.claim_idempotency_key(p_client_id text, p_method text, p_endpoint text, p_key text, p_request_hash bytea, p_resource_id text, p_now timestamp with time zone, p_forget_before timestamp with time zone, OUT outcome text, OUT resource_id text) to bankside_resource_api;
grant execute on function payments.leave_to_check_elsewhere() to bankside_worker;
grant execute on function payments.limits_in_the_way(p_now timestamp with time zone, p_consent_id text[], p_channel text[]) to bankside_payments;
grant execute on function payments.lock_parties(p_customer_id text[], p_account_id text[]) to bankside_payments;
grant execute on function payments.outcome_of(p_consent_id text, OUT status text, OUT step text, OUT rejection_reason text, OUT limit_id text) to bankside_auth_server;
grant execute on function payments.payment_made_under(p_consent_id text, p_customer_id text) to bankside_auth_server;
grant execute on function payments.settle(p_now timestamp with time zone, p_actor text, p_payment_id text[], p_lease integer[], p_verdict text[], p_risk_score integer[], p_risk_reasons text[], p_entry_id text[], p_event_id text[], p_record_id text[], p_why text) to bankside_worker;
grant execute on function payments.soft_limits_beyond(p_now timestamp with time zone, p_consent_id text, p_customer_id text, p_channel text) to bankside_auth_server;
grant execute on function payments.spent_since(p_subject_id text, p_currency text, p_channel text, p_since timestamp with time zone) to bankside_auth_server;
grant execute on function payments.submit(p_submissions jsonb, p_consent_id text[], p_now timestamp with time zone, p_unused_since timestamp with time zone, p_forget_before timestamp with time zone, p_deadline_at timestamp with time zone) to bankside_resource_api;
grant insert on audit.record (column action) to bankside_auth_server;
grant insert on audit.record (column action) to bankside_resource_api;
grant insert on audit.record (column action) to bankside_worker;
grant insert on audit.record (column actor) to bankside_auth_server;
grant insert on audit.record (column actor) to bankside_resource_api;
grant insert on audit.record (column actor) to bankside_worker;
grant insert on audit.record (column details) to bankside_auth_server;
grant insert on audit.record (column details) to bankside_resource_api;
grant insert on audit.record (column details) to bankside_worker;
grant insert on audit.record (column interaction_id) to bankside_auth_server;
grant insert on audit.record (column interaction_id) to bankside_resource_api;
grant insert on audit.record (column interaction_id) to bankside_worker;
grant insert on audit.record (column occurred_at) to bankside_auth_server;
grant insert on audit.record (column occurred_at) to bankside_resource_api;
grant insert on audit.record (column occurred_at) to bankside_worker;
grant insert on audit.record (column record_id) to bankside_auth_server;
grant insert on audit.record (column record_id) to bankside_resource_api;
grant insert on audit.record (column record_id) to bankside_worker;
grant insert on audit.record (column subject) to bankside_auth_server;
grant insert on audit.record (column subject) to bankside_resource_api;
grant insert on audit.record (column subject) to bankside_worker;
grant insert on audit.record to bankside_books;
grant insert on audit.record to bankside_payments;
grant insert on clients.register_entry (column created_at) to bankside_auth_server;
grant insert on clients.register_entry (column directory) to bankside_auth_server;
grant insert on clients.register_entry (column organisation_id) to bankside_auth_server;
grant insert on events.event to bankside_auth_server;
grant insert on events.event to bankside_payments;
grant insert on events.event to bankside_resource_api;
grant insert on events.notification to bankside_payments;
grant insert on ledger.exchange to bankside_books;
grant insert on oidc.backchannel_notification to bankside_auth_server;
grant insert on payments.idempotent_request (column client_id) to bankside_payments;
grant insert on payments.idempotent_request (column client_id) to bankside_resource_api;
grant insert on payments.idempotent_request (column endpoint) to bankside_payments;
grant insert on payments.idempotent_request (column endpoint) to bankside_resource_api;
grant insert on payments.idempotent_request (column key) to bankside_payments;
grant insert on payments.idempotent_request (column key) to bankside_resource_api;
grant insert on payments.idempotent_request (column method) to bankside_payments;
grant insert on payments.idempotent_request (column method) to bankside_resource_api;
grant insert on payments.payment to bankside_payments;
grant insert, select on audit.checkpoint to bankside_sealer;
grant insert, select on audit.seal to bankside_sealer;
grant insert, select on audit.tree_node to bankside_sealer;
grant insert, select on clients.certificate to bankside_auth_server;
grant insert, select on clients.registration to bankside_auth_server;
grant insert, select on clients.remote_document to bankside_auth_server;
grant insert, select on consents.consent to bankside_resource_api;
grant insert, select on customers.beneficiary to bankside_resource_api;
grant insert, select on customers.sca_challenge to bankside_auth_server;
grant insert, select on customers.totp_step_used to bankside_auth_server;
grant insert, select on events.event to bankside_worker;
grant insert, select on events.notification to bankside_worker;
grant insert, select on ledger.entry to bankside_books;
grant insert, select on ledger.hold to bankside_books;
grant insert, select on ledger.posting to bankside_books;
grant insert, select on ledger.rate to bankside_ledger;
grant insert, select on oidc."grant" to bankside_auth_server;
grant insert, select on oidc.backchannel_authentication_request to bankside_auth_server;
grant insert, select on oidc.backchannel_logout to bankside_auth_server;
grant insert, select on oidc.revoked_token to bankside_auth_server;
grant insert, select on oidc.used_identifier to bankside_auth_server;
grant insert, select on oidc.used_identifier to bankside_resource_api;
grant insert, select on oidc.used_proof to bankside_resource_api;
grant insert, select on payments.known_to_customer to bankside_payments;
grant insert, select on payments.spending_limit to bankside_auth_server;
grant insert, select, update on consents.consent to bankside_auth_server;
grant insert, select, update on oidc.authorization_code to bankside_auth_server;
grant insert, select, update on oidc.prompted_customer to bankside_auth_server;
grant insert, select, update on oidc.pushed_authorization_request to bankside_auth_server;
grant insert, select, update on payments.spent to bankside_payments;
grant insert, update on clients.register_entry (column next_ask_at) to bankside_auth_server;
grant insert, update on payments.idempotent_request (column created_at) to bankside_payments;
grant insert, update on payments.idempotent_request (column created_at) to bankside_resource_api;
grant insert, update on payments.idempotent_request (column request_hash) to bankside_payments;
grant insert, update on payments.idempotent_request (column request_hash) to bankside_resource_api;
grant insert, update on payments.idempotent_request (column resource_id) to bankside_payments;
grant insert, update on payments.idempotent_request (column resource_id) to bankside_resource_api;
grant select on audit.archive to bankside_sealer;
grant select on audit.checkpoint to bankside_auth_server;
grant select on audit.checkpoint to bankside_resource_api;
grant select on audit.record to bankside_sealer;
grant select on audit.seal (column first_leaf) to bankside_auth_server;
grant select on audit.seal (column first_leaf) to bankside_resource_api;
grant select on audit.seal (column leaf_count) to bankside_auth_server;
grant select on audit.seal (column leaf_count) to bankside_resource_api;
grant select on audit.seal (column leaf_hashes) to bankside_auth_server;
grant select on audit.seal (column leaf_hashes) to bankside_resource_api;
grant select on audit.seal (column log) to bankside_auth_server;
grant select on audit.seal (column log) to bankside_resource_api;
grant select on audit.tree_node to bankside_auth_server;
grant select on audit.tree_node to bankside_resource_api;
grant select on clients.client (column client_id) to bankside_resource_api;
grant select on clients.client (column client_id) to bankside_worker;
grant select on clients.client (column created_at) to bankside_resource_api;
grant select on clients.client (column first_party) to bankside_resource_api;
grant select on clients.client (column licensed_roles) to bankside_resource_api;
grant select on clients.client (column name) to bankside_resource_api;
grant select on clients.client (column organisation) to bankside_resource_api;
grant select on clients.client (column organisation_id) to bankside_worker;
grant select on clients.client (column profile) to bankside_resource_api;
grant select on clients.client (column status) to bankside_resource_api;
grant select on clients.client (column status) to bankside_worker;
grant select on clients.client (column updated_at) to bankside_resource_api;
grant select on clients.client (column withdrawn_at) to bankside_worker;
grant select on clients.client to bankside_auth_server;
grant select on clients.client to bankside_payments;
grant select on clients.initial_access_token (column expires_at) to bankside_auth_server;
grant select on clients.initial_access_token (column scopes) to bankside_auth_server;
grant select on clients.initial_access_token (column token_hash) to bankside_auth_server;
grant select on clients.initial_access_token (column uses_left) to bankside_auth_server;
grant select on clients.register_entry to bankside_auth_server;
grant select on clients.register_entry to bankside_worker;
grant select on clients.registration (column client_id) to bankside_worker;
grant select on clients.registration (column deleted_at) to bankside_worker;
grant select on clients.registration (column software_issuer) to bankside_worker;
grant select on clients.remote_document (column fetched_at) to bankside_worker;
grant select on clients.remote_document (column url) to bankside_worker;
grant select on clients.remote_document to bankside_resource_api;
grant select on consents.account_to_show to bankside_auth_server;
grant select on consents.consent to bankside_payments;
grant select on consents.consent to bankside_worker;
grant select on consents.consent_account to bankside_resource_api;
grant select on consents.consent_account to bankside_worker;
grant select on consents.transition to bankside_auth_server;
grant select on consents.transition to bankside_resource_api;
grant select on consents.transition to bankside_worker;
grant select on customers.beneficiary to bankside_auth_server;
grant select on customers.customer (column created_at) to bankside_resource_api;
grant select on customers.customer (column customer_id) to bankside_resource_api;
grant select on customers.customer (column customer_id) to bankside_worker;
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
grant select on events.notification (column customer_id) to bankside_worker;
grant select on events.notification (column event_id) to bankside_worker;
grant select on events.notification to bankside_auth_server;
grant select on housekeeping.partitioned_table to bankside_worker;
grant select on ledger.account to bankside_books;
grant select on ledger.account to bankside_ledger;
grant select on ledger.account to bankside_payments;
grant select on ledger.account to bankside_resource_api;
grant select on ledger.account to bankside_worker;
grant select on ledger.currency to bankside_ledger;
grant select on ledger.currency to bankside_payments;
grant select on ledger.currency to bankside_resource_api;
grant select on ledger.currency to bankside_worker;
grant select on ledger.entry to bankside_ledger;
grant select on ledger.entry to bankside_resource_api;
grant select on ledger.entry to bankside_sealer;
grant select on ledger.entry to bankside_worker;
grant select on ledger.exchange to bankside_ledger;
grant select on ledger.exchange to bankside_resource_api;
grant select on ledger.exchange to bankside_sealer;
grant select on ledger.exchange to bankside_worker;
grant select on ledger.hold to bankside_ledger;
grant select on ledger.hold to bankside_resource_api;
grant select on ledger.hold to bankside_worker;
grant select on ledger.movement to bankside_ledger;
grant select on ledger.movement to bankside_worker;
grant select on ledger.posting to bankside_ledger;
grant select on ledger.posting to bankside_resource_api;
grant select on ledger.posting to bankside_sealer;
grant select on ledger.posting to bankside_worker;
grant select on ledger.rate to bankside_resource_api;
grant select on ledger.rate to bankside_worker;
grant select on oidc."grant" (column claim_before) to bankside_worker;
grant select on oidc."grant" (column client_id) to bankside_resource_api;
grant select on oidc."grant" (column client_id) to bankside_worker;
grant select on oidc."grant" (column created_at) to bankside_resource_api;
grant select on oidc."grant" (column customer_id) to bankside_resource_api;
grant select on oidc."grant" (column expires_at) to bankside_resource_api;
grant select on oidc."grant" (column expires_at) to bankside_worker;
grant select on oidc."grant" (column grant_id) to bankside_resource_api;
grant select on oidc."grant" (column grant_id) to bankside_worker;
grant select on oidc."grant" (column revoked_at) to bankside_resource_api;
grant select on oidc."grant" (column revoked_at) to bankside_worker;
grant select on oidc."grant" to bankside_payments;
grant select on oidc.authorization_code (column expires_at) to bankside_worker;
grant select on oidc.authorization_code (column id_hash) to bankside_worker;
grant select on oidc.backchannel_authentication_request (column expires_at) to bankside_worker;
grant select on oidc.backchannel_authentication_request (column id_hash) to bankside_worker;
grant select on oidc.backchannel_logout (column created_at) to bankside_worker;
grant select on oidc.backchannel_logout (column logout_id) to bankside_worker;
grant select on oidc.backchannel_notification (column request_id) to bankside_auth_server;
grant select on oidc.interaction (column expires_at) to bankside_worker;
grant select on oidc.interaction (column id_hash) to bankside_worker;
grant select on oidc.journey (column expires_at) to bankside_worker;
grant select on oidc.journey (column journey_hash) to bankside_worker;
grant select on oidc.prompted_customer (column customer_id) to bankside_worker;
grant select on oidc.prompted_customer (column prompted_at) to bankside_worker;
grant select on oidc.pushed_authorization_request (column expires_at) to bankside_worker;
grant select on oidc.pushed_authorization_request (column id_hash) to bankside_worker;
grant select on oidc.refresh_token (column expires_at) to bankside_worker;
grant select on oidc.refresh_token (column id_hash) to bankside_worker;
grant select on oidc.revoked_token (column expires_at) to bankside_worker;
grant select on oidc.revoked_token (column token_hash) to bankside_worker;
grant select on oidc.revoked_token to bankside_payments;
grant select on oidc.revoked_token to bankside_resource_api;
grant select on oidc.session (column expires_at) to bankside_worker;
grant select on oidc.session (column id_hash) to bankside_worker;
grant select on oidc.used_identifier (column expires_at) to bankside_worker;
grant select on oidc.used_identifier (column id_hash) to bankside_worker;
grant select on payments.idempotent_request to bankside_payments;
grant select on payments.idempotent_request to bankside_resource_api;
grant select on payments.idempotent_request to bankside_worker;
grant select on payments.known_to_customer to bankside_worker;
grant select on payments.payment (column consent_id) to bankside_sealer;
grant select on payments.payment (column entry_id) to bankside_sealer;
grant select on payments.payment (column payment_id) to bankside_sealer;
grant select on payments.payment to bankside_resource_api;
grant select on payments.payment to bankside_worker;
grant select on payments.risk_rule to bankside_payments;
grant select on payments.risk_rule to bankside_worker;
grant select on payments.risk_threshold to bankside_payments;
grant select on payments.risk_threshold to bankside_worker;
grant select on payments.spending_limit to bankside_payments;
grant select on payments.spending_limit to bankside_resource_api;
grant select on payments.spending_limit to bankside_worker;
grant select on payments.spent to bankside_worker;
grant select on payments.straight_through to bankside_payments;
grant select on payments.straight_through to bankside_worker;
grant select, update on audit.sealing to bankside_sealer;
grant select, update on ledger.reconciliation to bankside_worker;
grant select, update on oidc.backchannel_notification (column expires_at) to bankside_auth_server;
grant update on clients.certificate (column warned_at) to bankside_worker;
grant update on clients.register_entry (column last_error) to bankside_worker;
grant update on clients.register_entry (column next_ask_at) to bankside_worker;
grant update on clients.registration (column request) to bankside_auth_server;
grant update on clients.registration (column updated_at) to bankside_auth_server;
grant update on clients.remote_document (column body) to bankside_auth_server;
grant update on clients.remote_document (column fetched_at) to bankside_auth_server;
grant update on consents.consent (column deleted_at) to bankside_resource_api;
grant update on consents.consent (column status) to bankside_payments;
grant update on consents.consent (column status) to bankside_resource_api;
grant update on consents.consent (column status) to bankside_worker;
grant update on consents.consent (column status_reason_code) to bankside_payments;
grant update on consents.consent (column status_reason_code) to bankside_resource_api;
grant update on consents.consent (column status_reason_code) to bankside_worker;
grant update on consents.consent (column status_reason_description) to bankside_payments;
grant update on consents.consent (column status_reason_description) to bankside_resource_api;
grant update on consents.consent (column status_reason_description) to bankside_worker;
grant update on consents.consent (column status_updated_at) to bankside_payments;
grant update on consents.consent (column status_updated_at) to bankside_resource_api;
grant update on consents.consent (column status_updated_at) to bankside_worker;
grant update on customers.sca_challenge (column answered_at) to bankside_auth_server;
grant update on customers.sca_challenge (column spent_at) to bankside_auth_server;
grant update on events.event (column attempts) to bankside_worker;
grant update on events.event (column dead_at) to bankside_worker;
grant update on events.event (column delivered_at) to bankside_worker;
grant update on events.event (column last_error) to bankside_worker;
grant update on events.event (column next_attempt_at) to bankside_worker;
grant update on ledger.account (column held_minor) to bankside_books;
grant update on ledger.account (column last_booked_at) to bankside_books;
grant update on ledger.account (column posted_minor) to bankside_books;
grant update on ledger.account (column posting_count) to bankside_books;
grant update on ledger.entry (column entry_id) to bankside_books;
grant update on ledger.hold (column captured_minor) to bankside_books;
grant update on ledger.hold (column entry_id) to bankside_books;
grant update on ledger.hold (column resolved_at) to bankside_books;
grant update on ledger.hold (column status) to bankside_books;
grant update on ledger.movement (column made) to bankside_books;
grant update on ledger.movement (column made_at) to bankside_books;
grant update on ledger.movement (column released) to bankside_books;
grant update on ledger.movement (column request_hash) to bankside_books;
grant update on ledger.movement (column written_in) to bankside_books;
grant update on oidc."grant" (column expires_at) to bankside_auth_server;
grant update on oidc."grant" (column payload) to bankside_auth_server;
grant update on oidc."grant" (column revoked_at) to bankside_auth_server;
grant update on oidc.backchannel_authentication_request (column answer) to bankside_auth_server;
grant update on oidc.backchannel_authentication_request (column consumed_at) to bankside_auth_server;
grant update on oidc.backchannel_authentication_request (column decided_at) to bankside_auth_server;
grant update on oidc.backchannel_authentication_request (column grant_id) to bankside_auth_server;
grant update on oidc.backchannel_authentication_request (column interval_seconds) to bankside_auth_server;
grant update on oidc.backchannel_authentication_request (column outcome) to bankside_auth_server;
grant update on oidc.backchannel_authentication_request (column polled_at) to bankside_auth_server;
grant update on oidc.backchannel_logout (column attempts) to bankside_auth_server;
grant update on oidc.backchannel_logout (column dead_at) to bankside_auth_server;
grant update on oidc.backchannel_logout (column delivered_at) to bankside_auth_server;
grant update on oidc.backchannel_logout (column last_error) to bankside_auth_server;
grant update on oidc.backchannel_logout (column next_attempt_at) to bankside_auth_server;
grant update on oidc.backchannel_notification (column attempts) to bankside_worker;
grant update on oidc.backchannel_notification (column delivered_at) to bankside_worker;
grant update on oidc.backchannel_notification (column given_up_at) to bankside_worker;
grant update on oidc.backchannel_notification (column last_error) to bankside_worker;
grant update on oidc.backchannel_notification (column next_attempt_at) to bankside_auth_server;
grant update on oidc.backchannel_notification (column next_attempt_at) to bankside_worker;
grant update on payments.payment (column lease) to bankside_worker;
grant update on payments.payment (column lease_until) to bankside_worker;
grant update on payments.spending_limit (column ended_at) to bankside_auth_server;
grant usage on events.event_number to public;
grant usage on schema audit to bankside_auth_server;
grant usage on schema audit to bankside_books;
grant usage on schema audit to bankside_payments;
grant usage on schema audit to bankside_resource_api;
grant usage on schema audit to bankside_sealer;
grant usage on schema audit to bankside_worker;
grant usage on schema clients to bankside_auth_server;
grant usage on schema clients to bankside_payments;
grant usage on schema clients to bankside_resource_api;
grant usage on schema clients to bankside_worker;
grant usage on schema consents to bankside_auth_server;
grant usage on schema consents to bankside_payments;
grant usage on schema consents to bankside_resource_api;
grant usage on schema consents to bankside_worker;
grant usage on schema customers to bankside_auth_server;
grant usage on schema customers to bankside_payments;
grant usage on schema customers to bankside_resource_api;
grant usage on schema customers to bankside_worker;
grant usage on schema events to bankside_auth_server;
grant usage on schema events to bankside_payments;
grant usage on schema events to bankside_resource_api;
grant usage on schema events to bankside_worker;
grant usage on schema housekeeping to bankside_worker;
grant usage on schema ledger to bankside_auth_server;
grant usage on schema ledger to bankside_books;
grant usage on schema ledger to bankside_ledger;
grant usage on schema ledger to bankside_payments;
grant usage on schema ledger to bankside_resource_api;
grant usage on schema ledger to bankside_sealer;
grant usage on schema ledger to bankside_worker;
grant usage on schema oidc to bankside_auth_server;
grant usage on schema oidc to bankside_payments;
grant usage on schema oidc to bankside_resource_api;
grant usage on schema oidc to bankside_worker;
grant usage on schema payments to bankside_auth_server;
grant usage on schema payments to bankside_payments;
grant usage on schema payments to bankside_resource_api;
grant usage on schema payments to bankside_sealer;
grant usage on schema payments to bankside_worker;
