-- What a competent team writes first: one table for whatever oidc-provider stores, and a bank in a dozen plain tables.
create table oidc_payload (
  type         text not null,
  id           text not null,
  payload      jsonb not null,
  grant_id     text,
  uid          text,
  user_code    text,
  expires_at   timestamptz,
  consumed_at  timestamptz,
  primary key (type, id)
);
create index oidc_payload_grant on oidc_payload (grant_id);
create index oidc_payload_uid on oidc_payload (uid);
create index oidc_payload_user_code on oidc_payload (user_code);
create index oidc_payload_expiry on oidc_payload (expires_at);

create table client (
  client_id  text primary key,
  status     text not null
);
create table account (
  account_id      text primary key,
  customer_id     text not null,
  holder_name     text not null,
  nickname        text not null,
  currency        text not null,
  sort_code       text not null,
  account_number  text not null,
  status          text not null,
  balance_minor   numeric(38,0) not null,
  overdraft_minor numeric(38,0) not null,
  unique (sort_code, account_number),
  check (balance_minor + overdraft_minor >= 0)
);
create index account_customer on account (customer_id);

create table consent (
  consent_id         text primary key,
  client_id          text not null references client,
  kind               text not null,
  status             text not null,
  status_updated_at  timestamptz not null,
  created_at         timestamptz not null,
  permissions        text[] not null,
  expires_at         timestamptz,
  request            jsonb,
  customer_id        text,
  debtor_account_id  text references account,
  grant_id           text
);
create index consent_grant on consent (grant_id);
create table consent_account (
  consent_id  text not null references consent,
  account_id  text not null references account,
  primary key (consent_id, account_id)
);

create table entry (
  entry_id     text primary key,
  currency     text not null,
  description  text not null,
  booked_at    timestamptz not null
);
create table posting (
  posting_id     text primary key,
  entry_id       text not null references entry,
  account_id     text not null references account,
  amount_minor   numeric(38,0) not null,
  balance_minor  numeric(38,0) not null,
  booked_at      timestamptz not null
);
create index posting_entry on posting (entry_id);
create index posting_account on posting (account_id, booked_at);

create table payment (
  payment_id           text primary key,
  consent_id           text not null unique references consent,
  client_id            text not null references client,
  status               text not null,
  debtor_account_id    text not null references account,
  creditor_account_id  text not null references account,
  amount_minor         numeric(38,0) not null,
  currency             text not null,
  entry_id             text not null references entry,
  created_at           timestamptz not null
);
create table idempotency (
  client_id     text not null,
  key           text not null,
  request_hash  text not null,
  response      jsonb,
  created_at    timestamptz not null,
  primary key (client_id, key)
);
create table used_proof (
  jti         text primary key,
  expires_at  timestamptz not null
);
create index used_proof_expiry on used_proof (expires_at);
create table outbox (
  event_id      text primary key,
  type          text not null,
  subject       text not null,
  payload       jsonb not null,
  created_at    timestamptz not null,
  delivered_at  timestamptz
);
create index outbox_waiting on outbox (created_at) where delivered_at is null;
create table notification (
  event_id    text primary key,
  type        text not null,
  payload     jsonb not null,
  created_at  timestamptz not null
);
create table audit_record (
  record_id   text primary key,
  actor       text not null,
  action      text not null,
  subject     text not null,
  details     jsonb not null,
  created_at  timestamptz not null
);
