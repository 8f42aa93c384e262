-- What says when a trigger fires is read anew by each statement, so it is as short as can be, and whatever is rare is asked in the function.
-- Tables in the order in which writers lock them.
create or replace function ledger.account_takes_nothing_until_reconciled() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.posted_minor <> old.posted_minor then
    raise exception 'account % is frozen: its books do not agree', old.account_id
      using errcode = '23514', constraint = 'account_takes_nothing_until_reconciled', schema = 'ledger', table = 'account';
  end if;
  return new;
end $$;
drop trigger account_takes_nothing_until_reconciled on ledger.account;
create trigger account_takes_nothing_until_reconciled before update on ledger.account
  for each row when (old.frozen_for is not null) execute function ledger.account_takes_nothing_until_reconciled();

create or replace function ledger.entry_posts_a_payment_once() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.kind <> 'reversal'
    and not exists (select from payments.payment p where p.payment_id = new.payment_id and p.entry_id = new.entry_id) then
    raise exception 'payment % names another entry than %, or none', new.payment_id, new.entry_id
      using errcode = '23514', constraint = 'entry_posts_a_payment_once', schema = 'ledger', table = 'entry';
  end if;
  return null;
end $$;
drop trigger entry_posts_a_payment_once on ledger.entry;
create constraint trigger entry_posts_a_payment_once after insert on ledger.entry deferrable initially deferred
  for each row when (new.payment_id is not null) execute function ledger.entry_posts_a_payment_once();

drop trigger entry_is_sound on ledger.entry;
create trigger entry_is_sound after insert on ledger.entry
  referencing new table as new_entry for each statement when (current_user <> 'bankside_books'::text) execute function ledger.entry_is_sound();
drop trigger posting_is_sound on ledger.posting;
create trigger posting_is_sound after insert on ledger.posting
  referencing new table as new_posting for each statement when (current_user <> 'bankside_books'::text) execute function ledger.posting_is_sound();
