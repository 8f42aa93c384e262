/**
 * What oidc-provider gets when it imports `jose`: jose itself, with a shorter way for what it has seen before.
 *
 * A client signs every assertion and proof with one key and one header. The first time, jose looks at header and key and
 * does everything; when it found both good, the header (to the letter, under this key and these options) is remembered with
 * the key, ready to be used. After that, what is left is done here: three segments, canonical base64url, the signature, and
 * claims in JSON. Whatever is unusual goes to jose, which answers as always. So nothing passes here that jose would refuse.
 */
import { createPrivateKey, KeyObject, type webcrypto } from 'node:crypto'
import { fromBase64url } from '@bankside/service-kit/base64url'
import { plainObjectIn, type Segments, segmentsOf, verifiedPayload } from '@bankside/service-kit/compact-jws'
import { type LeastRecentlyUsed, leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import { type SignatureAlgorithm, signEs256, type VerificationKey, verificationKey } from '@bankside/service-kit/signature-keys'
import * as jose from 'jose'

export * from 'jose'

type Header = jose.CompactJWSHeaderParameters
type Remembered = { readonly header: Header; readonly verify: VerificationKey }

/** Several times what a request object with a whole payment in it has. Nothing that is longer is decoded, let alone verified. */
export const jwsAtMostLength = 16_384

const algorithms: ReadonlySet<string> = new Set<SignatureAlgorithm>(['PS256', 'ES256', 'EdDSA', 'Ed25519'])
/** A client that writes its header anew each time is served as jose serves it. */
const headersPerKey = 8
const embeddedKeys = 2_000

const ofKeys = new WeakMap<object, LeastRecentlyUsed<string, Remembered>>()
const ofEmbeddedKeys = leastRecentlyUsed<string, Remembered>(embeddedKeys)
const thumbprints = new WeakMap<object, string>()

/** As jose's, for keys that are JWKs: nothing else is passed here by the library. */
export async function compactVerify(
  jws: string | Uint8Array,
  key: jose.JWK | jose.CryptoKey | KeyObject | Uint8Array,
  options?: jose.VerifyOptions,
): Promise<jose.CompactVerifyResult> {
  assertShort(jws)
  const segments = typeof jws === 'string' ? segmentsOf(jws) : undefined
  if (segments === undefined || !isJwk(key)) return jose.compactVerify(jws, key, options)
  const name = nameOf(segments.header, options?.algorithms)
  const known = ofKeys.get(key)
  const remembered = known?.get(name)
  if (remembered === undefined) {
    const verified = await jose.compactVerify(jws, key, options)
    await rememberFor(key, name, verified.protectedHeader)
    return verified
  }
  const payload = payloadOf(segments, remembered)
  return payload === undefined ? jose.compactVerify(jws, key, options) : { payload, protectedHeader: remembered.header }
}

/** As jose's. The shorter way is for proofs that bring their key with them (RFC 9449). */
export async function jwtVerify(
  jwt: string,
  key: Parameters<typeof jose.jwtVerify>[1],
  options: jose.JWTVerifyOptions = {},
): Promise<jose.JWTVerifyResult> {
  assertShort(jwt)
  const segments = (key as unknown) === jose.EmbeddedJWK && hasOnlyTyp(options) ? segmentsOf(jwt) : undefined
  if (segments === undefined) return jose.jwtVerify(jwt, key as jose.JWTVerifyGetKey, options)
  const name = nameOf(segments.header, options.algorithms, options.typ)
  const remembered = ofEmbeddedKeys.get(name)
  if (remembered === undefined) {
    const verified = await jose.jwtVerify(jwt, jose.EmbeddedJWK, options)
    await rememberEmbedded(name, verified)
    return verified
  }
  const bytes = payloadOf(segments, remembered)
  const payload: jose.JWTPayload | undefined = bytes && plainObjectIn(bytes)
  // Times are jose's to judge, and so is what is no JSON object.
  if (payload === undefined || payload.exp !== undefined || payload.nbf !== undefined || typeof payload.iat !== 'number')
    return jose.jwtVerify(jwt, jose.EmbeddedJWK, options)
  return { payload, protectedHeader: remembered.header as jose.JWTHeaderParameters }
}

/** As jose's: the payload, of which nothing is verified. A request's assertion is looked into again and again. */
export function decodeJwt(jwt: string): jose.JWTPayload {
  assertShort(jwt)
  return (typeof jwt === 'string' && read(jwt, 'payload')) || jose.decodeJwt(jwt)
}

/** Whether nothing in it is nested. What it was found out from is what the library, which asks next, is answered from. */
export const isPlain = (jwt: string): boolean => jwt.length <= jwsAtMostLength && isReadPlain(jwt, 'header') && isReadPlain(jwt, 'payload')

const isReadPlain = (jwt: string, part: 'header' | 'payload'): boolean => {
  const found = read(jwt, part)
  return found !== undefined && !hasNested(found)
}

/** As jose's, for compact JWSs. */
export function decodeProtectedHeader(token: string | object): jose.ProtectedHeaderParameters {
  assertShort(token)
  // The library asks this of every token, to be told that it is none: with the stack that is a twentieth of an introspection.
  if (typeof token === 'string' && !token.includes('.'))
    throw withoutStack(() => new TypeError('Invalid Token or Protected Header formatting'))
  return (typeof token === 'string' && (read(token, 'header') as jose.ProtectedHeaderParameters)) || jose.decodeProtectedHeader(token)
}

function withoutStack(make: () => Error): Error {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

type Read = { header?: jose.JWTPayload; payload?: jose.JWTPayload }

/** The library reads an assertion's claims three times and its header twice, and each reader gets a copy of its own. */
const readLately = leastRecentlyUsed<string, Read>(64)

/** A client writes the same one into each assertion. */
const headersLately = leastRecentlyUsed<string, jose.JWTPayload>(256)

function readHeader(segment: string | undefined): jose.JWTPayload | undefined {
  if (segment === undefined) return undefined
  const known = headersLately.get(segment)
  if (known !== undefined) return known
  const found = readSegment(segment)
  if (found !== undefined && !hasNested(found)) headersLately.set(segment, found)
  return found
}

/** Undefined for what jose should look at. */
function read(jwt: string, part: 'header' | 'payload'): jose.JWTPayload | undefined {
  const known = readLately.get(jwt)
  const before = known?.[part]
  if (before !== undefined) return { ...before }
  const [header, payload, ...others] = jwt.split('.')
  if (others.length !== 1) return undefined
  const found = part === 'header' ? readHeader(header) : readSegment(payload)
  if (found === undefined || hasNested(found)) return found
  readLately.set(jwt, { ...known, [part]: found })
  return { ...found }
}

const hasNested = (claims: jose.JWTPayload): boolean => Object.values(claims).some((value) => typeof value === 'object')

function readSegment(segment: string | undefined): jose.JWTPayload | undefined {
  const bytes = segment === undefined || segment === '' ? undefined : fromBase64url(segment)
  return bytes && plainObjectIn(bytes)
}

/** As jose's, as far as the library uses it: to keep a pushed request. Claims that nobody keeps are not copied first. */
export class UnsecuredJWT {
  readonly #claims: jose.JWTPayload
  constructor(payload: jose.JWTPayload) {
    this.#claims = { ...payload }
  }

  setIssuedAt(seconds: number): this {
    return this.#with({ iat: seconds })
  }

  setIssuer(issuer: string): this {
    return this.#with({ iss: issuer })
  }

  setAudience(audience: string): this {
    return this.#with({ aud: audience })
  }

  setExpirationTime(seconds: number): this {
    return this.#with({ exp: seconds })
  }

  setNotBefore(seconds: number): this {
    return this.#with({ nbf: seconds })
  }

  encode(): string {
    return `${unsecured}.${Buffer.from(JSON.stringify(this.#claims)).toString('base64url')}.`
  }

  #with(claims: jose.JWTPayload): this {
    Object.assign(this.#claims, claims)
    return this
  }
}

const unsecured = Buffer.from('{"alg":"none"}').toString('base64url')

function assertShort(jws: unknown): void {
  if ((typeof jws === 'string' || jws instanceof Uint8Array) && jws.length > jwsAtMostLength)
    throw new jose.errors.JWTInvalid(`a JWT has at most ${jwsAtMostLength} characters`)
}

export async function calculateJwkThumbprint(
  key: jose.JWK | jose.CryptoKey | KeyObject,
  digest?: 'sha256' | 'sha384' | 'sha512',
): Promise<string> {
  const known = digest === undefined ? thumbprints.get(key) : undefined
  return known ?? jose.calculateJwkThumbprint(key, digest)
}

const signers = new WeakMap<object, KeyObject>()

/** As jose's. ES256 with a key that is ready, for a third of what it costs by way of WebCrypto. */
export class CompactSign extends jose.CompactSign {
  readonly #payload: Uint8Array
  #header: Header | undefined

  constructor(payload: Uint8Array) {
    super(payload)
    this.#payload = payload
  }

  override setProtectedHeader(header: Header): this {
    super.setProtectedHeader(header as jose.CompactJWSHeaderParameters)
    this.#header = header
    return this
  }

  override async sign(key: jose.CryptoKey | KeyObject | jose.JWK | Uint8Array, options?: jose.SignOptions): Promise<string> {
    const header = this.#header
    const plain = options === undefined && header?.alg === 'ES256' && header['crit'] === undefined && isJwk(key)
    const signer = plain ? signers.get(key) : undefined
    if (signer === undefined) {
      // The first time jose looks at the key.
      const signed = await super.sign(key, options)
      if (plain && key.kty === 'EC' && key.crv === 'P-256') signers.set(key, createPrivateKey({ key: { ...key }, format: 'jwk' }))
      return signed
    }
    const input = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${base64urlOf(this.#payload)}`
    const signature = signEs256(signer, Buffer.from(input))
    return `${input}.${signature.toString('base64url')}`
  }
}

const base64urlOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')

/** @throws {JWSSignatureVerificationFailed} once: a signature that is not good is not looked at twice. */
function payloadOf(segments: Segments, { verify }: Remembered): Buffer | undefined {
  const payload = verifiedPayload(segments, verify)
  if (payload === 'forged') throw new jose.errors.JWSSignatureVerificationFailed()
  return payload
}

const nameOf = (header: string, allowed: readonly string[] | undefined, typ = '') => `${header} ${typ} ${allowed?.join(' ') ?? '*'}`

/** Any other option is about claims, which are jose's to judge. */
const hasOnlyTyp = (options: jose.JWTVerifyOptions): boolean =>
  Object.keys(options).every((option) => option === 'algorithms' || option === 'typ')

const isJwk = (key: unknown): key is jose.JWK =>
  typeof key === 'object' && key !== null && typeof (key as jose.JWK).kty === 'string' && !('type' in key)

async function rememberFor(key: jose.JWK, name: string, header: Header): Promise<void> {
  const verify = await keyFor(key, header)
  if (verify === undefined) return
  const known = ofKeys.get(key) ?? leastRecentlyUsed<string, Remembered>(headersPerKey)
  known.set(name, { header: frozen(header), verify })
  ofKeys.set(key, known)
}

async function rememberEmbedded(name: string, { protectedHeader }: jose.JWTVerifyResult): Promise<void> {
  const { jwk } = protectedHeader
  const verify = jwk && (await keyFor(jwk, protectedHeader))
  if (verify === undefined || jwk === undefined) return
  thumbprints.set(jwk, await jose.calculateJwkThumbprint(jwk))
  ofEmbeddedKeys.set(name, { header: frozen(protectedHeader), verify })
}

/** The key as jose imports it. A header that says more than who signed how is never remembered. */
async function keyFor(jwk: jose.JWK, { alg, crit, b64 }: Header): Promise<VerificationKey | undefined> {
  if (crit !== undefined || b64 !== undefined || alg === undefined || !algorithms.has(alg)) return undefined
  const imported = await jose.importJWK(jwk, alg)
  if (imported instanceof Uint8Array) return undefined
  const key = imported instanceof KeyObject ? imported : KeyObject.from(imported as webcrypto.CryptoKey)
  return verificationKey(key, alg as SignatureAlgorithm)
}

/** It is handed to every later caller. */
function frozen<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) frozen(member)
  return Object.freeze(value)
}
