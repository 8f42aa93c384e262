import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import { isLimitId, type LimitId, newLimitId } from '../ids.ts'
import { formatMoney } from '../money.ts'
import type { Limit } from './limit.ts'

export type LimitOrder = Omit<Limit, 'id' | 'setAt'> & {
  /** Who sets it: a customer, or the name of whoever acts for the bank. */
  readonly actor: string
  readonly now: Date
}

/** Sets a limit, in the place of one of the same kind. It knows of what was paid before it was set. */
export async function setLimit(tx: Transaction, { actor, now, ...limit }: LimitOrder): Promise<LimitId> {
  const limitId = newLimitId()
  const { scope, subjectId = null, channel = null, setBy, soft, most } = limit
  const [period, hours] = typeof limit.period === 'object' ? ['window', limit.period.hours] : [limit.period, null]
  const at = sql.timestamp(now)
  const ended = await tx.maybeOne(sql.type(z.object({ limit_id: z.string() }))`
    update payments.spending_limit set ended_at = greatest(${at}, set_at)
    where ended_at is null and scope = ${scope} and coalesce(subject_id, '') = ${subjectId ?? ''} and set_by = ${setBy} and is_soft = ${soft}
      and coalesce(channel, '') = ${channel ?? ''} and period = ${period} and coalesce(window_hours, 0) = ${hours ?? 0} and currency = ${most.currency}
    returning limit_id`)
  await tx.query(sql.unsafe`
    insert into payments.spending_limit (
      limit_id, set_by, scope, subject_id, channel, period, window_hours, currency, most_minor, is_soft, set_at)
    values (${limitId}, ${setBy}, ${scope}, ${subjectId}, ${channel}, ${period}, ${hours}, ${most.currency}, ${most.minor}, ${soft}, ${at})`)
  const details = {
    scope,
    of: subjectId,
    channel,
    period,
    hours,
    most: formatMoney(most),
    currency: most.currency,
    setBy,
    soft,
    insteadOf: ended,
  }
  await appendAudit(tx, { actor, action: 'limit.set', subject: limitId, details, now })
  return limitId
}

export type EndOrder = { readonly limitId: string; readonly setBy: Limit['setBy']; readonly actor: string; readonly now: Date }

/** False when there is none to end: a customer ends their own ones, the bank its own. */
export async function endLimit(tx: Transaction, { limitId, setBy, actor, now }: EndOrder): Promise<boolean> {
  if (!isLimitId(limitId)) return false
  const ended = await tx.maybeOne(sql.type(z.object({ limit_id: z.string() }))`
    update payments.spending_limit set ended_at = greatest(${sql.timestamp(now)}, set_at)
    where limit_id = ${limitId} and set_by = ${setBy} and ended_at is null returning limit_id`)
  if (ended === null) return false
  await appendAudit(tx, { actor, action: 'limit.ended', subject: limitId, details: {}, now })
  return true
}
