import pg from 'pg'

type FromText = (text: string) => unknown
/** Reads a value as PostgreSQL sends it in binary: so many bytes from a place on. */
export type FromBytes = (bytes: Buffer, start: number, length: number) => unknown

/** The same values as slonik gives in postgres.ts: whole numbers as bigint, instants as Date. */
const parsers = new Map<number, FromText>([
  [pg.types.builtins.INT8, BigInt],
  [pg.types.builtins.NUMERIC, BigInt],
  [pg.types.builtins.TIMESTAMPTZ, (text) => new Date(text)],
  [pg.types.builtins.DATE, (text) => text],
])

/** OIDs of the array types of those. */
const arrayTypes = { int8: 1016, numeric: 1231, timestamptz: 1185, date: 1182, text: 1009 } as const
const elementsOfAny = pg.types.getTypeParser(arrayTypes.text as number, 'text') as (text: string) => (string | null)[]
/** Nearly every array is a plain list: `pg` reads each letter by itself, for what is quoted or nested. */
const elementsAsText = (text: string): (string | null)[] => {
  if (text === '{}') return []
  if (!text.startsWith('{') || text.indexOf('{', 1) >= 0 || text.includes('"') || text.includes('\\')) return elementsOfAny(text)
  const elements: (string | null)[] = text.slice(1, -1).split(',')
  return text.includes('NULL') ? elements.map((element) => (element === 'NULL' ? null : element)) : elements
}
const arrayOf = (parse: (text: string) => unknown) => (text: string) =>
  elementsAsText(text).map((element) => (element === null ? null : parse(element)))
parsers
  .set(arrayTypes.text, elementsAsText)
  .set(arrayTypes.int8, arrayOf(BigInt))
  .set(arrayTypes.numeric, arrayOf(BigInt))
  .set(
    arrayTypes.timestamptz,
    arrayOf((text) => new Date(text)),
  )
  .set(
    arrayTypes.date,
    arrayOf((text) => text),
  )

/**
 * What `pg` asks for the types of columns. Beside the text parsers, those for values in binary: a number or an instant is sent
 * and read for a fraction of what its text costs both ends. A type that is not among them goes as text.
 */
export const rowTypes = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    (format === 'binary' ? undefined : parsers.get(oid)) ?? pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
  fromBytes: (oid: number): FromBytes | undefined => binary.get(oid),
}

/** Words of three letters, of which there are few: currencies. */
const words = new Map<number, string>()
const wordsAtMost = 1_000

const text: FromBytes = (bytes, start, length) => {
  if (length !== 3) return bytes.toString('utf8', start, start + length)
  const letters = bytes.readUIntBE(start, 3)
  const known = words.get(letters)
  if (known !== undefined) return known
  const word = bytes.toString('utf8', start, start + length)
  if (words.size < wordsAtMost) words.set(letters, word)
  return word
}
const two32 = 4_294_967_296
/** 1 January 2000, from which PostgreSQL counts. */
const epochMs = 946_684_800_000
const dayMs = 86_400_000

/** Exact as a number far beyond any of our own; what is larger goes the longer way. */
function int8(bytes: Buffer, start: number): bigint {
  const high = bytes.readInt32BE(start)
  return high >= -2_097_152 && high < 2_097_152 ? BigInt(high * two32 + bytes.readUInt32BE(start + 4)) : bytes.readBigInt64BE(start)
}

function instant(bytes: Buffer, start: number): Date {
  const us = int8(bytes, start)
  // Farther than calendars go: infinity.
  if (us === 9_223_372_036_854_775_807n || us === -9_223_372_036_854_775_808n) return new Date(Number.NaN)
  const number = Number(us)
  return new Date(epochMs + (Number.isSafeInteger(number) ? Math.floor(number / 1_000) : Number(us / 1_000n)))
}

const [minus, plus] = [0x4000, 0x0000]

/** Digits of four, the first of them worth 10,000 to the power of the weight. Whole numbers only, as everywhere here. */
function whole(bytes: Buffer, start: number): bigint {
  const digits = bytes.readUInt16BE(start)
  const weight = bytes.readInt16BE(start + 2)
  const sign = bytes.readUInt16BE(start + 4)
  if (sign !== plus && sign !== minus) throw new SyntaxError('not a number')
  if (digits > weight + 1) throw new SyntaxError('not a whole number')
  let value = 0n
  // Three digits of four at a time, which a number holds exactly.
  for (let index = 0; index <= weight; ) {
    let part = 0
    let scale = 1
    for (let count = 0; count < 3 && index <= weight; count++, index++) {
      part = part * 10_000 + (index < digits ? bytes.readUInt16BE(start + 8 + 2 * index) : 0)
      scale *= 10_000
    }
    value = value === 0n ? BigInt(part) : value * BigInt(scale) + BigInt(part)
  }
  return sign === minus ? -value : value
}

const { builtins } = pg.types
const json: FromBytes = (bytes, start, length) => JSON.parse(text(bytes, start, length) as string)
const binary = new Map<number, FromBytes>([
  [builtins.BOOL, (bytes, start) => bytes[start] === 1],
  [builtins.INT2, (bytes, start) => bytes.readInt16BE(start)],
  [builtins.INT4, (bytes, start) => bytes.readInt32BE(start)],
  [builtins.INT8, int8],
  [builtins.NUMERIC, whole],
  [builtins.TIMESTAMPTZ, instant],
  [builtins.DATE, (bytes, start) => new Date(epochMs + bytes.readInt32BE(start) * dayMs).toISOString().slice(0, 10)],
  [builtins.TEXT, text],
  [builtins.VARCHAR, text],
  [builtins.JSON, json],
  // Its first byte is a version.
  [builtins.JSONB, (bytes, start, length) => json(bytes, start + 1, length - 1)],
  [builtins.BYTEA, (bytes, start, length) => Buffer.from(bytes.subarray(start, start + length))],
  [arrayTypes.text, textArray],
])

/** Of one dimension, or empty. */
function textArray(bytes: Buffer, start: number): (string | null)[] {
  const dimensions = bytes.readInt32BE(start)
  if (dimensions === 0) return []
  if (dimensions !== 1) throw new Error('an array of more than one dimension')
  const count = bytes.readInt32BE(start + 12)
  const elements = new Array<string | null>(count)
  let at = start + 20
  for (let index = 0; index < count; index++) {
    const length = bytes.readInt32BE(at)
    at += 4
    elements[index] = length < 0 ? null : (text(bytes, at, length) as string)
    if (length > 0) at += length
  }
  return elements
}
