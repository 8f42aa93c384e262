import { minorDigits } from './currencies.ts'
import { refuse } from './refusal.ts'

/** Whole number of the currency's smallest unit (ISO 4217): pence, yen, fils. */
export type Money = { readonly minor: bigint; readonly currency: Currency }
export type Currency = keyof typeof minorDigits

export const isCurrency = (text: unknown): text is Currency => typeof text === 'string' && Object.hasOwn(minorDigits, text)

/**
 * Reads the decimal text of an amount (UK Open Banking `OBActiveCurrencyAndAmount_SimpleType`, RW-D-07), exactly.
 * A fraction that the currency does not have is refused, never rounded. Zero is an amount; whether it may be paid is not asked here.
 *
 * @throws {Refusal} `currency_unsupported`, `amount_invalid`.
 */
export function parseMoney(amount: string, currency: string, path?: string): Money {
  if (!isCurrency(currency)) refuse('currency_unsupported', 'the currency is not supported', { path: path && `${path}.Currency` })
  const digits = minorDigits[currency]
  const [, whole, fraction = ''] = /^(\d{1,13})(?:\.(\d{1,5}))?$/.exec(amount) ?? []
  const significant = fraction.replace(/0+$/, '')
  if (whole === undefined || significant.length > digits)
    refuse('amount_invalid', `not an amount of ${currency}`, { path: path && `${path}.Amount` })
  return { minor: BigInt(whole + significant.padEnd(digits, '0')), currency }
}

/** What a `numeric(38,0)` holds, less one digit: sums of balances stay within it. */
const digitsAtMost = 37

/**
 * The same for amounts of any size and currency, 18 decimals and more than 64 bits among them: what {@link formatMoney} writes.
 * A sign is refused.
 *
 * @throws {Refusal} `currency_unsupported`, `amount_invalid`.
 */
export function parseAmount(amount: string, currency: string): Money {
  if (!isCurrency(currency)) refuse('currency_unsupported', 'the currency is not supported')
  const digits = minorDigits[currency]
  const [, whole, fraction = ''] = /^(\d{1,37})(?:\.(\d{1,18}))?$/.exec(amount) ?? []
  if (whole === undefined || fraction.length > digits) refuse('amount_invalid', `not an amount of ${currency}`)
  const minor = BigInt(whole + fraction.padEnd(digits, '0'))
  if (minor.toString().length > digitsAtMost) refuse('amount_invalid', 'the amount is too large')
  return { minor, currency }
}

/** Decimal text with exactly the digits of the currency, signed when below zero: `-3.50`, `0.00`, `12`. */
export function formatMoney({ minor, currency }: Money): string {
  const digits = minorDigits[currency]
  const text = (minor < 0n ? -minor : minor).toString().padStart(digits + 1, '0')
  const whole = text.slice(0, text.length - digits)
  return `${minor < 0n ? '-' : ''}${whole}${digits > 0 ? `.${text.slice(-digits)}` : ''}`
}
