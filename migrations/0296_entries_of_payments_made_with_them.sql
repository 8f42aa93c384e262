-- That a payment names the entry that posts it was asked at the commit, entry by entry, of payments.submit too, which writes both: a payment that was not there
-- before, under the id of the entry that it has just had written. For the resource API nothing else writes entries (ledger.write is not granted to it), and who
-- signed in cannot be changed by SET ROLE. Whoever else has an entry written is asked as before.
drop trigger entry_posts_a_payment_once on ledger.entry;
create constraint trigger entry_posts_a_payment_once after insert on ledger.entry deferrable initially deferred
  for each row when (new.payment_id is not null and (session_user <> 'bankside_resource_api' or current_user <> 'bankside_books'))
  execute function ledger.entry_posts_a_payment_once();
