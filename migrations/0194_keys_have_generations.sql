-- outside a transaction
-- What is remembered for a day is kept in generations, one a day: what has been forgotten goes with its partition, in a moment. A key is of any
-- hour, so it cannot say where it stands, and a unique index of a partitioned table holds within one partition only. So that one key makes one
-- movement nevertheless, all that is written goes into one generation at a time (the column's default, a constant), the next begins under
-- a lock for which whoever has looked into the table or written to it is waited for, and whoever comes after sees all that they wrote: within
-- a generation the primary key decides, across generations looking does.
--
-- What there is becomes the first generation. That it is, is said first and proven while payments go on; so is its key.
do $$
begin
  if not exists (select from pg_attribute where attrelid = 'ledger.movement'::regclass and attname = 'generation') then
    alter table ledger.movement add column generation integer not null default 1,
      add constraint movement_is_of_the_first_generation check (generation = 1) not valid;
  end if;
end $$;
-- then
do $$
begin
  if not exists (select from pg_attribute where attrelid = 'payments.idempotent_request'::regclass and attname = 'generation') then
    alter table payments.idempotent_request add column generation integer not null default 1,
      add constraint idempotent_request_is_of_the_first_generation check (generation = 1) not valid;
  end if;
end $$;
-- then
alter table ledger.movement validate constraint movement_is_of_the_first_generation;
-- then
alter table payments.idempotent_request validate constraint idempotent_request_is_of_the_first_generation;
-- then
drop index concurrently if exists ledger.movement_is_made_once__1;
-- then
create unique index concurrently movement_is_made_once__1 on ledger.movement (movement_key, generation);
-- then
drop index concurrently if exists payments.idempotent_request_is_claimed_once__1;
-- then
create unique index concurrently idempotent_request_is_claimed_once__1 on payments.idempotent_request (client_id, method, endpoint, key, generation);
-- then
drop index concurrently if exists ledger.movement_age;
-- then
drop index concurrently if exists payments.idempotent_request_age;
