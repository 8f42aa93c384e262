import { sql, z } from '@bankside/service-kit/postgres'
import { isLimitId, type LimitId } from '../ids.ts'
import { type Currency, formatMoney, isCurrency, type Money } from '../money.ts'
import type { PaymentChannel } from '../payments/payment.ts'

/** How much may be paid, by one payment or in a time. A new one is set in the place of an old one: none ever changes. */
export type Limit = {
  readonly id: LimitId
  readonly setBy: 'bank' | 'customer'
  readonly scope: LimitScope
  /** An account, a customer or a consent. Undefined: each of them, counted for itself, unless it has one of its own. */
  readonly subjectId: string | undefined
  /** Undefined: what is paid through all of them counts. */
  readonly channel: PaymentChannel | undefined
  readonly period: LimitPeriod
  readonly most: Money
  /** A customer's own: what goes beyond it is paid when the customer confirms that with the payment. Without that, and any other limit: refused. */
  readonly soft: boolean
  readonly setAt: Date
}
export type LimitScope = 'account' | 'customer' | 'consent'
/** Days and months as the calendar in London has them; a window in whole hours, the one that has begun and so many before it. */
export type LimitPeriod = 'payment' | 'day' | 'month' | { readonly hours: number }

/** A month of hours: longer windows would be counted from too many rows. */
export const longestWindowHours = 744

export const limitRow = z.object({
  limit_id: z.custom<LimitId>(isLimitId),
  set_by: z.enum(['bank', 'customer']),
  scope: z.enum(['account', 'customer', 'consent']),
  subject_id: z.string().nullable(),
  channel: z.enum(['uk_v4', 'bank_api']).nullable(),
  period: z.enum(['payment', 'day', 'month', 'window']),
  window_hours: z.number().nullable(),
  currency: z.custom<Currency>(isCurrency),
  most_minor: z.bigint(),
  is_soft: z.boolean(),
  set_at: z.date(),
})

/** For a query over `payments.spending_limit` as `l`. */
export const limitColumns = sql.fragment`
  l.limit_id, l.set_by, l.scope, l.subject_id, l.channel, l.period, l.window_hours, l.currency, l.most_minor, l.is_soft, l.set_at`

export const toLimit = (row: z.infer<typeof limitRow>): Limit => ({
  id: row.limit_id,
  setBy: row.set_by,
  scope: row.scope,
  subjectId: row.subject_id ?? undefined,
  channel: row.channel ?? undefined,
  period: row.period === 'window' ? { hours: row.window_hours ?? 0 } : row.period,
  most: { minor: row.most_minor, currency: row.currency },
  soft: row.is_soft,
  setAt: row.set_at,
})

/** A limit as a customer or the bank reads it: `GBP 250.00 a day from this account`. A page writes the amount in its own way. */
export function limitInWords(
  { most, period, scope, channel }: Pick<Limit, 'most' | 'period' | 'scope' | 'channel'>,
  amountText = `${most.currency} ${formatMoney(most)}`,
): string {
  const time =
    typeof period === 'object' ? `in any ${period.hours} hours` : { payment: 'for each payment', day: 'a day', month: 'a month' }[period]
  const from = { account: 'from this account', customer: 'from all accounts together', consent: 'under one consent' }[scope]
  const through = channel === undefined ? '' : { uk_v4: ' through other companies', bank_api: ' through the bank’s own apps' }[channel]
  return `${amountText} ${time} ${from}${through}`
}
