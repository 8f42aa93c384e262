-- What became of the hold of a payment belongs to its proof, where the payment says on record which hold that is.
create or replace function audit.records_to_prove(p_payment_id text) returns table (
  record_id text, occurred_at timestamptz, actor text, action text, subject text, interaction_id text, details jsonb, written_in bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select r.record_id, r.occurred_at, r.actor, r.action, r.subject, r.interaction_id, r.details, r.written_in
  from payments.payment p join audit.record r on r.subject in (p.payment_id, p.consent_id) where p.payment_id = p_payment_id
  union all
  select r.record_id, r.occurred_at, r.actor, r.action, r.subject, r.interaction_id, r.details, r.written_in
  from audit.record s join audit.record r on r.subject = s.details ->> 'holdId' and r.action like 'hold.%'
  where s.subject = p_payment_id and s.action = 'payment.submitted'
  union all
  select r.record_id, r.occurred_at, r.actor, r.action, r.subject, r.interaction_id, r.details, r.written_in
  from (select log from audit.seal order by log desc limit 1) s join audit.record r on r.written_in = -s.log where s.log > 1
$$;
