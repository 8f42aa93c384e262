-- EXISTS in a list of columns, or in what a case asks, PostgreSQL may answer by reading the whole table once for a call, where it takes the call for long: all
-- that all customers ever paid, all accounts, all revoked tokens. A value it looks up for each row, by the key.
-- What payments.submit asks of tokens and accounts is put so in 0295, which restates it.

-- Whoever replaces what another role owns must be able to act as it.
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('grant bankside_payments to %I', current_user); end if;
end $$;

create or replace function payments.assess(p_payments payments.assessable[]) returns table (
  "position" integer, verdict text, score integer, reasons jsonb, new_payee boolean, new_device boolean
) language sql stable as $$
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
$$;

-- And of limits PostgreSQL reads those that may count, not all that there are, though it prepared itself while there were few.
-- What keeps limits apart is no way to find them, so it says in its own words which it is of.
drop index payments.limit_is_set_once;
create unique index limit_is_set_once on payments.spending_limit
  (scope, coalesce(subject_id, ''), set_by, is_soft, coalesce(channel, ''), period, coalesce(window_hours, 0), currency)
  where coalesce(ended_at, '-infinity') = '-infinity';
create index limit_of_everybody on payments.spending_limit (scope) where ended_at is null and subject_id is null;
create index limit_of_customers on payments.spending_limit (scope) where ended_at is null and scope = 'customer' and period <> 'payment';
create or replace function payments.lock_parties(p_customer_id text[], p_account_id text[]) returns payments.parties
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
end $$;

-- Finishes payments whose checks have answered, or whose time is up: posts what was held, or rejects the payment and frees its
-- funds, or leaves it to a person. Many at once; each lock in the order of ids, payments before accounts. A payment that another one
-- has taken or finished meanwhile is left alone. What is posted goes where the payment says: nothing else is asked of the caller.
--
-- Plans are made while tables are small and kept: found by their keys, rows stay cheap when tables have grown.
--
-- p_verdict is pass, review or refuse; null for one that was cleared, or whose time is up. Of one in review only a person refuses.
create or replace function payments.settle(
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
end $$;

do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('revoke bankside_payments from %I', current_user); end if;
end $$;
