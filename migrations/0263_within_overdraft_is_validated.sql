alter table ledger.account validate constraint account_within_overdraft;
