import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type Currency, isCurrency } from '../money.ts'

/** `units * 10^-scale` of the quote currency for one of the base currency, as somebody said at some time: exact, never a float. */
export type Rate = {
  readonly base: Currency
  readonly quote: Currency
  readonly units: bigint
  readonly scale: number
  readonly source: string
  readonly quotedAt: Date
}

/** Where rates come from. The one that is built in reads what was recorded; a bank connects its own. */
export type RateSource = (pair: { readonly base: Currency; readonly quote: Currency; readonly now: Date }) => Promise<Rate | undefined>

const rateRow = z.object({
  base_currency: z.custom<Currency>(isCurrency),
  quote_currency: z.custom<Currency>(isCurrency),
  price_units: z.bigint(),
  price_scale: z.number(),
  source: z.string(),
  quoted_at: z.date(),
})

/** The latest that is on record of a source and not older than it may be. */
export function recordedRates(
  tx: Transaction,
  { source, validForMs }: { readonly source: string; readonly validForMs: number },
): RateSource {
  return async ({ base, quote, now }) => {
    const row = await tx.maybeOne(sql.type(rateRow)`
      select base_currency, quote_currency, price_units, price_scale, source, quoted_at from ledger.rate
      where base_currency = ${base} and quote_currency = ${quote} and source = ${source}
        and quoted_at <= ${sql.timestamp(now)} and quoted_at > ${sql.timestamp(new Date(now.getTime() - validForMs))}
      order by quoted_at desc limit 1`)
    return row === null ? undefined : toRate(row)
  }
}

function toRate(row: z.infer<typeof rateRow>): Rate {
  const { base_currency: base, quote_currency: quote, price_units: units, price_scale: scale, source, quoted_at: quotedAt } = row
  return { base, quote, units, scale, source, quotedAt }
}

/** Adds a quote to the history: nothing in it is ever changed. */
export async function recordRate(tx: Transaction, { base, quote, source, quotedAt, units, scale }: Rate): Promise<void> {
  await tx.query(sql.unsafe`
    insert into ledger.rate (base_currency, quote_currency, source, quoted_at, price_units, price_scale)
    values (${base}, ${quote}, ${source}, ${sql.timestamp(quotedAt)}, ${units}, ${scale})`)
}
