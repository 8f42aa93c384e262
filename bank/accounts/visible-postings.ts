import { sql } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { refuse } from '../refusal.ts'
import { transactionColumns } from './transaction.ts'

type Fragment = ReturnType<typeof sql.fragment>

/**
 * The one statement by which postings are read, as far as a decision opens them. Of which account is for the caller's conditions,
 * over `ledger.posting` as `p` and `ledger.entry` as `e`.
 *
 * @throws {Refusal} as {@link visibleOnly}.
 */
export function visiblePostings(access: AccessDecision, asked: readonly Fragment[]): Fragment {
  return sql.fragment`
    select ${transactionColumns} from ledger.posting p join ledger.entry e on e.entry_id = p.entry_id
    where ${visibleOnly(access, asked)}`
}

/**
 * Condition over `ledger.posting` as `p`: what is asked, within what a decision opens by window and direction (AIS-08, AIS-09,
 * AIS-10).
 *
 * @throws {Refusal} `permission_missing`: a decision without transactions sees none, whatever is asked.
 */
export function visibleOnly({ permissions, window: { from, to } }: AccessDecision, asked: readonly Fragment[]): Fragment {
  if (!permissions.has('ReadTransactionsBasic') && !permissions.has('ReadTransactionsDetail'))
    refuse('permission_missing', 'the consent does not include transactions')
  const credits = permissions.has('ReadTransactionsCredits')
  const debits = permissions.has('ReadTransactionsDebits')
  if (!credits && !debits) refuse('permission_missing', 'the consent includes neither credits nor debits')

  const conditions = sql.join(
    [
      ...asked,
      ...(from === undefined ? [] : [sql.fragment`p.booked_at >= ${sql.timestamp(from)}`]),
      ...(to === undefined ? [] : [sql.fragment`p.booked_at <= ${sql.timestamp(to)}`]),
      ...(credits ? [] : [sql.fragment`p.amount_minor < 0`]),
      ...(debits ? [] : [sql.fragment`p.amount_minor > 0`]),
    ],
    sql.fragment` and `,
  )
  return sql.fragment`${conditions}`
}
