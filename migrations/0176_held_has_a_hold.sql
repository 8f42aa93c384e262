-- Said for new rows before; payments go on while the old ones are read.
alter table payments.payment validate constraint payment_held_has_a_hold;
