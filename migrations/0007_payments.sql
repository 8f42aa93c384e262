create table payments.payment (
  payment_id                  text primary key,
  consent_id                  text not null references consents.consent,
  client_id                   text not null references clients.client,
  customer_id                 text not null references customers.customer,
  channel                     text not null,
  status                      text not null,
  status_updated_at           timestamptz not null,
  rejection_reason            text,
  debtor_account_id           text not null references ledger.account,
  creditor_account_id         text not null references ledger.account,
  creditor_name               text not null,
  creditor_scheme_name        text not null,
  creditor_identification     text not null,
  amount_minor                numeric(38,0) not null,
  currency                    text not null references ledger.currency,
  instruction_identification  text not null,
  end_to_end_identification   text not null,
  reference                   text not null,
  hold_id                     text references ledger.hold,
  entry_id                    text references ledger.entry,
  created_at                  timestamptz not null,
  deadline_at                 timestamptz not null,
  constraint payment_id_is_prefixed check (payment_id ~ '^pay_[0-9a-f]{32}$'),
  constraint payment_one_per_consent unique (consent_id),
  constraint payment_channel_is_known check (channel in ('uk_v4', 'bank_api')),
  constraint payment_status_is_known check (status in ('held', 'posted', 'rejected')),
  constraint payment_amount_is_positive check (amount_minor > 0),
  constraint payment_held_has_a_hold check (status = 'rejected' or hold_id is not null),
  constraint payment_posted_has_an_entry check ((status = 'posted') = (entry_id is not null)),
  constraint payment_rejected_has_a_reason check ((status = 'rejected') = (rejection_reason is not null)),
  constraint payment_debtor_is_not_creditor check (debtor_account_id <> creditor_account_id)
);
create index payment_waiting on payments.payment (created_at) where status = 'held';

create function payments.payment_moves_forward() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
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
end $$;
create trigger payment_moves_forward before insert or update on payments.payment for each row execute function payments.payment_moves_forward();

-- RW-ID-*: the key is client, method, endpoint and header; requests are compared as canonical JSON.
create table payments.idempotent_request (
  client_id     text not null references clients.client,
  method        text not null,
  endpoint      text not null,
  key           text not null,
  request_hash  bytea not null,
  resource_id   text,
  created_at    timestamptz not null,
  constraint idempotent_request_is_claimed_once primary key (client_id, method, endpoint, key),
  constraint idempotent_request_key_within_length check (length(key) between 1 and 40)
);
create index idempotent_request_age on payments.idempotent_request (created_at);
