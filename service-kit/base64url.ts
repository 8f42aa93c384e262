const lastDigit = new Map([...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].map((digit, value) => [digit, value]))
const onlyDigits = /^[A-Za-z0-9_-]*$/

/**
 * The bytes of a text that is base64url in the one way there is to write them (RFC 4648 sections 3.5 and 5): no padding, no
 * other character, no bits left over. Undefined for any other text, which Node would read as far as it can.
 */
export function fromBase64url(text: string): Buffer | undefined {
  if (!onlyDigits.test(text)) return undefined
  const rest = text.length % 4
  const last = lastDigit.get(text[text.length - 1] ?? '') ?? 0
  const leftOver = rest === 1 || (rest === 2 && (last & 0x0f) !== 0) || (rest === 3 && (last & 0x03) !== 0)
  return leftOver ? undefined : Buffer.from(text, 'base64url')
}
