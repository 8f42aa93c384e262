-- Reconciliation asks whether those whom accounts, payments and notifications name are there, and reads nothing else of them.
grant select (customer_id) on customers.customer to bankside_worker;
grant select (event_id, customer_id) on events.notification to bankside_worker;
