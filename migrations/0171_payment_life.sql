-- The life of a payment after its funds are held. Each step is a committed state that ends by itself at deadline_at; who works on
-- one holds a lease, so that another takes over where a worker died, and what comes too late from the first changes nothing.
--
-- checks: received, its consent matched, its funds held; the checks are to be asked, or are being asked. review: a person
-- decides. cleared: to be posted. Of what is posted or rejected there is no step; who is told of it stands in events.event.
alter table payments.payment
  add column step text,
  -- Counts who took it: only the last one may finish it.
  add column lease integer not null default 0,
  add column lease_until timestamptz,
  add column risk_score integer,
  add column risk_reasons jsonb;
alter table payments.payment set (fillfactor = 70);
alter table payments.payment disable trigger payment_moves_forward;
update payments.payment set step = 'checks' where status = 'held';
alter table payments.payment enable trigger payment_moves_forward;
alter table payments.payment
  add constraint payment_step_is_of_what_is_held check ((status = 'held') = (step is not null)),
  add constraint payment_step_is_known check (step in ('checks', 'review', 'cleared'));

create or replace function payments.payment_moves_forward() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
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
end $$;

-- Whom a customer has paid, and with what they agreed to it.
create table payments.known_to_customer (
  customer_id    text not null,
  kind           text not null,
  fingerprint    text not null,
  first_paid_at  timestamptz not null,
  constraint known_to_customer_once primary key (customer_id, kind, fingerprint),
  constraint known_kind_is_known check (kind in ('payee', 'device'))
);
insert into payments.known_to_customer
  select customer_id, 'payee', creditor_scheme_name || ' ' || creditor_identification, min(created_at)
  from payments.payment where status = 'posted' group by 1, 3;
alter table consents.consent add column authorised_device text;

-- The rules by which the built-in check scores a payment: points for each whose fact lies from at_least to below.
create table payments.risk_rule (
  rule_id   text primary key,
  fact      text not null,
  at_least  numeric(38,0),
  below     numeric(38,0),
  points    integer not null,
  words     text not null,
  constraint risk_fact_is_known check (
    fact in ('amount', 'paid_in_a_day', 'payments_in_an_hour', 'new_payee', 'new_device', 'hour'))
);
insert into payments.risk_rule values
  ('small_amount', 'amount', null, 30, -40, 'a small amount'),
  ('large_amount', 'amount', 1000, 10000, 20, 'a large amount'),
  ('very_large_amount', 'amount', 10000, null, 45, 'a very large amount'),
  ('much_in_a_day', 'paid_in_a_day', 10000, null, 20, 'much was paid from the account within a day'),
  ('many_in_an_hour', 'payments_in_an_hour', 10, 50, 15, 'many payments from the account within an hour'),
  ('very_many_in_an_hour', 'payments_in_an_hour', 50, null, 35, 'very many payments from the account within an hour'),
  ('new_payee', 'new_payee', 1, null, 20, 'the customer has not paid this payee before'),
  ('new_device', 'new_device', 1, null, 15, 'the customer has not agreed to a payment with this device before'),
  ('at_night', 'hour', 0, 5, 10, 'between midnight and five in the morning');
-- From how many points on a person decides, or the payment is refused. Below, it passes.
create table payments.risk_threshold (
  verdict   text primary key,
  at_least  integer not null,
  constraint risk_verdict_is_known check (verdict in ('review', 'refuse'))
);
insert into payments.risk_threshold values ('review', 70), ('refuse', 110);

create type payments.settlement as (
  payment_id text, decision text, reason text, hold_id text, entry_id text, event_id text, record_id text, debtor_account_id text, creditor_account_id text,
  creditor_is_ours boolean, creditor_name text, creditor_scheme_name text, creditor_identification text, description text, reference text,
  client_id text, customer_id text, consent_id text, amount text, currency text, risk_score integer, risk_reasons jsonb);

-- Moves the money of payments that are decided, or frees it. Answers as ledger.write does. Accounts are named in the order in which they
-- are locked, those of the holds among them: each is then read once.
create function payments.settle_money(p_now timestamptz, p_settlements payments.settlement[]) returns text[]
language sql set search_path = pg_catalog, pg_temp as $$
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
$$;

-- Finishes payments whose checks have answered, or whose time is up: posts what was held, or rejects the payment and frees its
-- funds, or leaves it to a person. Many at once; each lock in the order of ids, payments before accounts. A payment that another one
-- has taken or finished meanwhile is left alone. What is posted goes where the payment says: nothing else is asked of the caller.
--
-- Plans are made while tables are small and kept: found by their keys, rows stay cheap when tables have grown.
--
-- p_verdict is pass, review or refuse; null for one that was cleared, or whose time is up. Of one in review only a person refuses.
create function payments.settle(
  p_now timestamptz, p_actor text, p_payment_id text[], p_lease integer[], p_verdict text[], p_risk_score integer[], p_risk_reasons text[],
  p_entry_id text[], p_event_id text[], p_record_id text[], p_why text default null
) returns table (payment_id text, status text) language plpgsql security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
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
      and not exists (select from payments.known_to_customer before where (before.customer_id, before.kind, before.fingerprint) = (s.customer_id, k.kind, k.fingerprint))
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
end $$;

-- A person lets a payment go on. False when it does not wait for one.
create function payments.clear_payment(p_payment_id text, p_now timestamptz) returns boolean
language sql set search_path = pg_catalog, pg_temp as $$
  with cleared as (
    update payments.payment set step = 'cleared' where payment_id = p_payment_id and step = 'review' and deadline_at > p_now returning 1)
  select exists (select from cleared)
$$;

revoke execute on function payments.settle_money, payments.settle, payments.clear_payment from public;
revoke usage on type payments.settlement from public;
revoke update (status, status_updated_at, rejection_reason, entry_id) on payments.payment from bankside_worker;
grant execute on function payments.settle to bankside_worker;
grant update (lease, lease_until) on payments.payment to bankside_worker;
grant select on payments.known_to_customer, payments.risk_rule, payments.risk_threshold to bankside_worker;
-- What a payment captures is decided above.
drop function ledger.capture_holds;
drop type ledger.capture;
