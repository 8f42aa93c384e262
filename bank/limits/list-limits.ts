import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { type Limit, limitColumns, limitRow, toLimit } from './limit.ts'

/** Those that hold now: all of them, or of one account, customer or consent. Those of each come first. */
export async function listLimits(tx: Transaction, subjectIds?: readonly string[]): Promise<readonly Limit[]> {
  const named = subjectIds === undefined ? sql.fragment`true` : sql.fragment`l.subject_id = any (${sql.array([...subjectIds], 'text')})`
  const rows = await tx.any(sql.type(limitRow)`
    select ${limitColumns} from payments.spending_limit l where l.ended_at is null and ${named}
    order by l.subject_id is not null, l.scope, l.subject_id, l.set_by, l.currency, l.period, l.window_hours, l.limit_id`)
  return rows.map(toLimit)
}
