create table customers.customer (
  customer_id           text primary key,
  username              text not null,
  password_hash         text not null,
  totp_secret_sealed    bytea not null,
  full_name             text not null,
  email                 text not null,
  email_verified        boolean not null,
  phone                 text not null,
  created_at            timestamptz not null,
  constraint customer_id_is_prefixed check (customer_id ~ '^cus_[0-9a-f]{32}$'),
  constraint customer_username_is_unique unique (username),
  constraint customer_username_is_lower_case check (username = lower(username))
);

-- Failures are counted by user name, whether or not such a customer exists, so that a lock tells nothing.
create table customers.sign_in_attempt (
  username_hash  bytea primary key,
  failures       integer not null,
  locked_until   timestamptz,
  updated_at     timestamptz not null,
  constraint sign_in_attempt_failures_within_limit check (failures between 0 and 5)
);

-- A TOTP step is accepted once (RFC 6238 section 5.2): the primary key decides between two that race.
create table customers.totp_step_used (
  customer_id  text not null references customers.customer,
  step         bigint not null,
  used_at      timestamptz not null,
  constraint totp_step_is_used_once primary key (customer_id, step)
);

-- What a second factor was asked for. The hash binds the answer to payee, amount, currency and consent (SCA-RTS Art. 5).
create table customers.sca_challenge (
  challenge_id  text primary key,
  customer_id   text not null references customers.customer,
  consent_id    text,
  binding_hash  bytea not null,
  created_at    timestamptz not null,
  expires_at    timestamptz not null,
  answered_at   timestamptz,
  spent_at      timestamptz,
  constraint sca_challenge_id_is_prefixed check (challenge_id ~ '^sca_[0-9a-f]{32}$'),
  constraint sca_challenge_spent_only_when_answered check (spent_at is null or answered_at is not null)
);
create index sca_challenge_expiry on customers.sca_challenge (expires_at);

-- A customer's own session with the consent dashboard. The cookie holds the secret, the table its hash.
create table customers.session (
  session_hash  bytea primary key,
  customer_id   text not null references customers.customer,
  created_at    timestamptz not null,
  last_seen_at  timestamptz not null,
  expires_at    timestamptz not null
);
create index session_expiry on customers.session (expires_at);

create table customers.beneficiary (
  beneficiary_id   text primary key,
  customer_id      text not null references customers.customer,
  name             text not null,
  scheme_name      text not null,
  identification   text not null,
  reference        text,
  -- Confirmation of payee, as it was when the beneficiary was entered. Only accounts of this bank can be checked.
  name_check       text not null,
  created_at       timestamptz not null,
  constraint beneficiary_name_check_is_known check (name_check in ('matched', 'close_match', 'not_matched', 'not_checked')),
  constraint beneficiary_id_is_prefixed check (beneficiary_id ~ '^ben_[0-9a-f]{32}$'),
  constraint beneficiary_is_unique_per_customer unique (customer_id, scheme_name, identification)
);
