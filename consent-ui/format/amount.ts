/** An amount as `bank/money` has it; this package knows no bank. */
export type Amount = { readonly minor: bigint; readonly currency: string }

/**
 * An amount as people in Britain write it: `£1,234.56`, `€0.05`, `¥1,000`, with a real minus sign, `−£3.50`. Exact at any size.
 * Digits after the point come from the currency (ISO 4217, as ICU knows it).
 */
export function formatAmount({ minor, currency }: Amount): string {
  const style = new Intl.NumberFormat('en-GB', { style: 'currency', currency, currencyDisplay: 'symbol' })
  const digits = style.resolvedOptions().maximumFractionDigits ?? 0
  const text = (minor < 0n ? -minor : minor).toString().padStart(digits + 1, '0')
  const whole = text.slice(0, text.length - digits)
  const decimal = `${minor < 0n ? '-' : ''}${whole}.${text.slice(text.length - digits) || '0'}`
  return style.format(decimal as Intl.StringNumericLiteral).replace('-', '\u2212')
}
