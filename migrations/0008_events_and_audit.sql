-- The outbox. A row exists if and only if the change it tells of does: both are written in one transaction.
create table events.event (
  event_id         text primary key,
  -- Order within a subject: who records for a subject holds its row locked, so numbers come in the order of commits there.
  -- Between subjects they mean nothing.
  event_number     bigint not null generated always as identity,
  type             text not null,
  subject          text not null,
  client_id        text,
  customer_id      text,
  payload          jsonb not null,
  occurred_at      timestamptz not null,
  attempts         integer not null,
  next_attempt_at  timestamptz,
  delivered_at     timestamptz,
  dead_at          timestamptz,
  last_error       text,
  constraint event_id_is_prefixed check (event_id ~ '^evt_[0-9a-f]{32}$'),
  constraint event_is_waiting_delivered_or_dead check ((next_attempt_at is null) = (delivered_at is not null or dead_at is not null)),
  constraint event_is_not_both_delivered_and_dead check (delivered_at is null or dead_at is null)
);
create index event_waiting on events.event (next_attempt_at, event_number) where next_attempt_at is not null;
create index event_waiting_of_subject on events.event (subject, event_number) where next_attempt_at is not null;
create index event_dead on events.event (dead_at) where dead_at is not null;

-- What a customer is told. One line per event, whoever delivers it and however often.
create table events.notification (
  event_id     text primary key references events.event,
  customer_id  text not null references customers.customer,
  occurred_at  timestamptz not null,
  type         text not null,
  payload      jsonb not null
);
create index notification_of_customer on events.notification (customer_id, occurred_at desc);

create table audit.record (
  record_id    text primary key,
  occurred_at  timestamptz not null,
  actor        text not null,
  action       text not null,
  subject      text not null,
  interaction_id text,
  details      jsonb not null,
  constraint record_id_is_prefixed check (record_id ~ '^aud_[0-9a-f]{32}$')
);
create index record_of_subject on audit.record (subject, occurred_at);

create function audit.record_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is append-only' using errcode = '42501', constraint = 'record_is_append_only', table = 'record', schema = 'audit';
end $$;
create trigger record_is_append_only before update or delete or truncate on audit.record execute function audit.record_is_append_only();
