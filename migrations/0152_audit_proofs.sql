-- Whoever proves a payment is told which consent and entry belong to it; what is proven comes from the sealed rows.
grant usage on schema payments to bankside_sealer;
grant select (payment_id, consent_id, entry_id) on payments.payment to bankside_sealer;
