-- Client, customer, debtor and currency are those of the consent (payment_is_as_consented, below), which point at theirs:
-- pointing at them once more would lock the row of a busy client for every payment.
create table payments.payment (
  payment_id                  text primary key,
  consent_id                  text not null references consents.consent,
  client_id                   text not null,
  customer_id                 text not null,
  channel                     text not null,
  status                      text not null,
  status_updated_at           timestamptz not null,
  rejection_reason            text,
  debtor_account_id           text not null,
  creditor_account_id         text not null references ledger.account,
  creditor_name               text not null,
  creditor_scheme_name        text not null,
  creditor_identification     text not null,
  amount_minor                numeric(38,0) not null,
  currency                    text not null,
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

-- A payment is what a customer agreed to, whoever writes it: whoever inserts one cannot also authorise a consent, so a process
-- that was taken over pays nobody but those who were to be paid. A payee without an account here is paid by way of the
-- settlement account. Asked when the statement is done: it may be the one that consumes the consent, too.
create function payments.payment_is_as_consented() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
end $$;
create trigger payment_is_as_consented after insert on payments.payment for each row execute function payments.payment_is_as_consented();

-- RW-ID-*: the key is client, method, endpoint and header; requests are compared as canonical JSON.
create table payments.idempotent_request (
  client_id     text not null references clients.client,
  method        text not null,
  endpoint      text not null,
  key           text not null,
  request_hash  bytea not null,
  -- Chosen before it is made, so that a claim is written once.
  resource_id   text not null,
  created_at    timestamptz not null,
  constraint idempotent_request_is_claimed_once primary key (client_id, method, endpoint, key),
  constraint idempotent_request_key_within_length check (length(key) between 1 and 40)
);
create index idempotent_request_age on payments.idempotent_request (created_at);

-- Claims a key for a request, or says what became of the one that claimed it. Two requests that race meet at the primary
-- key: the second waits for the first to end, but not for long (error lock_not_available). lock_timeout is set for this
-- function only, so that it does not cut short the waits of the work that follows.
create function payments.claim_idempotency_key(
  p_client_id text, p_method text, p_endpoint text, p_key text, p_request_hash bytea, p_resource_id text, p_now timestamptz, p_forget_before timestamptz,
  out outcome text, out resource_id text
) language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '250ms' as $$
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
end $$;
