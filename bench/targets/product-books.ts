import type { Client } from 'pg'

export type Books = {
  readonly posted: number
  readonly notPosted: number
  /** What all postings add up to: nothing, unless money was made or lost. */
  readonly difference: number
  /** Accounts whose balance is not the sum of their postings, and entries that do not add up to nothing. */
  readonly wrongAccounts: number
}

/** Counted from the tables, not asked of the product's own reconciliation. */
export async function readBooks(db: Client): Promise<Books> {
  const { rows } = await db.query<Record<keyof Books, string>>(`
    select
      (select count(*) from payments.payment where status = 'posted') as posted,
      (select count(*) from payments.payment where status <> 'posted') as "notPosted",
      (select coalesce(sum(amount_minor), 0) from ledger.posting) as difference,
      (select count(*) from ledger.account account left join
         (select account_id, sum(amount_minor) as minor from ledger.posting group by account_id) posted using (account_id)
       where account.posted_minor <> coalesce(posted.minor, 0))
      + (select count(*) from (select from ledger.posting group by entry_id having sum(amount_minor) <> 0) entry) as "wrongAccounts"`)
  const [row] = rows
  const count = (name: keyof Books) => Number(row?.[name])
  return { posted: count('posted'), notPosted: count('notPosted'), difference: count('difference'), wrongAccounts: count('wrongAccounts') }
}
