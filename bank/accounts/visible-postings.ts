import { sql } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { refuse } from '../refusal.ts'
import { transactionColumns } from './transaction.ts'

/**
 * The one statement by which postings are read, as far as a decision opens them by window and direction (AIS-08, AIS-09,
 * AIS-10). Of which account is for the caller's conditions, over `ledger.posting` as `p` and `ledger.entry` as `e`.
 *
 * @throws {Refusal} `permission_missing`: a decision without transactions sees none, whatever is asked.
 */
export function visiblePostings({ permissions, window: { from, to } }: AccessDecision, asked: readonly ReturnType<typeof sql.fragment>[]) {
  if (!permissions.has('ReadTransactionsBasic') && !permissions.has('ReadTransactionsDetail'))
    refuse('permission_missing', 'the consent does not include transactions')
  const credits = permissions.has('ReadTransactionsCredits')
  const debits = permissions.has('ReadTransactionsDebits')
  if (!credits && !debits) refuse('permission_missing', 'the consent includes neither credits nor debits')

  const conditions = [
    ...asked,
    ...(from === undefined ? [] : [sql.fragment`p.booked_at >= ${sql.timestamp(from)}`]),
    ...(to === undefined ? [] : [sql.fragment`p.booked_at <= ${sql.timestamp(to)}`]),
    ...(credits ? [] : [sql.fragment`p.amount_minor < 0`]),
    ...(debits ? [] : [sql.fragment`p.amount_minor > 0`]),
  ]
  return sql.fragment`
    select ${transactionColumns} from ledger.posting p join ledger.entry e on e.entry_id = p.entry_id
    where ${sql.join(conditions, sql.fragment` and `)}`
}
