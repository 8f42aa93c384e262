import { formatMoney, type Money } from '@bankside/bank/money'
import type { Call, Reply } from '../api.ts'

type Envelope = { readonly Data: object; readonly Risk?: unknown }
type Paging = { readonly Next?: string | undefined; readonly Prev?: string | undefined; readonly First?: string | undefined }

/** Every body has Data, Links.Self and Meta (RW-D-08). */
export function ukReply(
  call: Call,
  status: 200 | 201,
  envelope: Envelope,
  { self = call.selfUrl, paging = {} }: { self?: string; paging?: Paging } = {},
): Reply {
  return { status, body: { ...envelope, Links: withoutUndefined({ Self: self, ...paging }), Meta: {} } }
}

/** Absolute URL of a resource. */
export const ukUrl = (call: Call, ...segments: readonly string[]): string => `${call.baseUrl}/${segments.join('/')}`

/** Optional fields without a value are left out: never null, never empty (RW-D-05). */
export function withoutUndefined<Fields extends object>(fields: Fields): Partial<Fields> {
  const kept: Partial<Fields> = {}
  for (const name in fields) {
    const value = fields[name] as unknown
    if (value !== undefined && value !== null && value !== '') kept[name] = fields[name]
  }
  return kept
}

export const dateTime = (date: Date): string => date.toISOString()

/** A positive amount and a direction: zero is a credit, overdrawn is a debit (AIS-14). */
export function amountAndDirection({ minor, currency }: Money): { CreditDebitIndicator: 'Credit' | 'Debit'; Amount: object } {
  return { CreditDebitIndicator: minor < 0n ? 'Debit' : 'Credit', Amount: renderAmount({ minor: minor < 0n ? -minor : minor, currency }) }
}

export const renderAmount = (money: Money): { Amount: string; Currency: string } => ({
  Amount: formatMoney(money),
  Currency: money.currency,
})
