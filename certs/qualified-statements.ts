import 'reflect-metadata' // First: @peculiar/x509 does not load without it.
import { Extension } from '@peculiar/x509'

/** ETSI TS 119 495 section 4.5.3: what the holder of a certificate is licensed for. */
export const pspRoles = {
  PSP_AS: '0.4.0.19495.1.1',
  PSP_PI: '0.4.0.19495.1.2',
  PSP_AI: '0.4.0.19495.1.3',
  PSP_IC: '0.4.0.19495.1.4',
} as const
export type PspRole = keyof typeof pspRoles

export type Licence = {
  readonly roles: readonly PspRole[]
  readonly authorityName: string
  readonly authorityId: string
  /** Of the certificate; for websites, if it does not say. */
  readonly use?: 'website' | 'seal'
}

/**
 * The qualified-certificate statements in the layout of an OBWAC, or of an OBSeal: type, disclosure
 * statement and licence. Not QcCompliance: that one says that the European regulation applies.
 *
 * @see ETSI EN 319 412-5, ETSI TS 119 495 section 5.1
 */
export function qualifiedStatements({ roles, authorityName, authorityId, use = 'website' }: Licence): Extension {
  const licence = sequence(
    sequence(...roles.map((role) => sequence(oid(pspRoles[role]), utf8(role)))),
    utf8(authorityName),
    utf8(authorityId),
  )
  const statements = sequence(
    sequence(oid('0.4.0.1862.1.6'), sequence(oid(use === 'website' ? '0.4.0.1862.1.6.3' : '0.4.0.1862.1.6.2'))),
    sequence(oid('0.4.0.1862.1.5'), sequence(sequence(ia5('https://example.com/disclosure'), printable('en')))),
    sequence(oid('0.4.0.19495.2'), licence),
  )
  return new Extension('1.3.6.1.5.5.7.1.3', false, statements)
}

// The classes of @peculiar/asn1-schema need decorators, which Node does not run from TypeScript. This much DER is enough.
const sequence = (...parts: readonly Uint8Array[]) => element(0x30, ...parts)
const utf8 = (text: string) => element(0x0c, Buffer.from(text, 'utf8'))
const printable = (text: string) => element(0x13, Buffer.from(text, 'latin1'))
const ia5 = (text: string) => element(0x16, Buffer.from(text, 'latin1'))

function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = Buffer.concat(parts)
  return Uint8Array.from([tag, ...lengthOf(content.length), ...content])
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length]
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
}

function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return element(0x06, Uint8Array.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(number: number): number[] {
  const bytes = [number & 0x7f]
  for (let rest = number >> 7; rest > 0; rest >>= 7) bytes.unshift((rest & 0x7f) | 0x80)
  return bytes
}
