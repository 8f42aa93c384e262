-- CIBA: a third party asks for a customer who is not in its browser, and the customer answers on the dashboard.
-- One row from the question to the token. The handle is stored as SHA-256; request_id is what pages and events name it by.
create table oidc.backchannel_authentication_request (
  id_hash           bytea primary key,
  request_id        text not null,
  client_id         text not null,
  customer_id       text not null,
  consent_id        text,
  binding_message   text,
  payload           text not null,
  created_at        timestamptz not null,
  expires_at        timestamptz not null,
  interval_seconds  integer not null,
  polled_at         timestamptz,
  outcome           text,
  decided_at        timestamptz,
  grant_id          text,
  -- What the token endpoint makes its answer of.
  answer            text,
  consumed_at       timestamptz,
  constraint backchannel_request_id_is_prefixed check (request_id ~ '^bar_[0-9a-f]{32}$'),
  constraint backchannel_request_id_is_unique unique (request_id),
  constraint backchannel_outcome_is_known check (outcome in ('approved', 'denied', 'expired')),
  constraint backchannel_outcome_has_a_time check ((outcome is null) = (decided_at is null)),
  constraint backchannel_approval_has_a_grant check ((outcome is not distinct from 'approved') = (grant_id is not null)),
  constraint backchannel_answer_is_of_a_decision check ((answer is null) = (outcome is null or outcome = 'expired')),
  constraint backchannel_only_an_approval_is_consumed check (consumed_at is null or outcome = 'approved')
);
-- The UK profile: one open request per consent. What has run out is marked so before the next one is asked.
create unique index backchannel_request_is_the_open_one_of_its_consent
  on oidc.backchannel_authentication_request (consent_id) where outcome is null;
create index backchannel_request_of_customer on oidc.backchannel_authentication_request (customer_id, created_at);
create index backchannel_request_of_grant on oidc.backchannel_authentication_request (grant_id) where grant_id is not null;
create index backchannel_request_expiry on oidc.backchannel_authentication_request (expires_at);

-- One row per customer who was asked lately: whoever asks holds it, so that questions to one customer are counted one by one.
create table oidc.prompted_customer (
  customer_id  text primary key,
  prompted_at  timestamptz not null
);
create index prompted_customer_age on oidc.prompted_customer (prompted_at);

-- What a client that wants to be called is called with. Written with its request, due once that is decided, so that a decision
-- and its notification are one transaction. Sealed: handle and token in clear would open what the request's hash keeps shut.
create table oidc.backchannel_notification (
  request_id       text primary key,
  client_id        text not null,
  endpoint         text not null,
  secrets_sealed   bytea not null,
  expires_at       timestamptz not null,
  attempts         integer not null,
  next_attempt_at  timestamptz,
  delivered_at     timestamptz,
  given_up_at      timestamptz,
  last_error       text,
  constraint notification_is_not_both_delivered_and_given_up check (delivered_at is null or given_up_at is null),
  constraint notification_that_is_over_is_not_due check (next_attempt_at is null or (delivered_at is null and given_up_at is null))
);
create index backchannel_notification_due on oidc.backchannel_notification (next_attempt_at) where next_attempt_at is not null;
create index backchannel_notification_expiry on oidc.backchannel_notification (expires_at);

-- A customer is asked for by user name or by a verified e-mail address.
create index customer_by_email on customers.customer (lower(email));

grant select, insert, update, delete on oidc.backchannel_authentication_request, oidc.prompted_customer to bankside_auth_server;
grant insert, select (request_id, expires_at), update (next_attempt_at, expires_at) on oidc.backchannel_notification to bankside_auth_server;
grant select (id_hash, expires_at), delete on oidc.backchannel_authentication_request to bankside_worker;
grant select (customer_id, prompted_at), delete on oidc.prompted_customer to bankside_worker;
grant select, update (attempts, next_attempt_at, delivered_at, given_up_at, last_error), delete on oidc.backchannel_notification
  to bankside_worker;
grant select (client_id, status) on clients.client to bankside_worker;
