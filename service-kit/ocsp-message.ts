import 'reflect-metadata' // First: the ASN.1 schemas do not load without it.
import { constants, hash, type KeyObject, verify, X509Certificate } from 'node:crypto'
import * as ocsp from '@peculiar/asn1-ocsp'
import { RsaSaPssParams } from '@peculiar/asn1-rsa'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import { AlgorithmIdentifier, Certificate, Extension } from '@peculiar/asn1-x509'
import { isIssuedBy } from './certificate-issuer.ts'
import { childrenOf, type DerElement, derTags, expected, only } from './der.ts'

/** What an OCSP response is looked at for. */
export type OcspQuestion = {
  readonly certificate: X509Certificate
  readonly issuer: X509Certificate
  /** As it was sent. A response may leave it out (RFC 5019 section 4): then its times alone say that it is not an old one. */
  readonly nonce?: Uint8Array | undefined
  readonly now: Date
}

export type OcspAnswer = {
  /** `unknown`: the responder has never heard of it. */
  readonly status: 'good' | 'revoked' | 'unknown'
  readonly thisUpdate: Date
  /** Until when it may be relied on. */
  readonly nextUpdate: Date
}

/** Why a response says nothing. */
export class OcspError extends Error {
  override name = 'OcspError'
}

const sha1 = '1.3.14.3.2.26'
const octets = (bytes: Uint8Array): OctetString => new OctetString(Uint8Array.from(bytes).buffer)
const bytesOf = (data: OctetString | ArrayBuffer): Buffer => Buffer.from(data instanceof OctetString ? data.buffer : data)

/**
 * A request about one certificate (RFC 6960 section 4.1). The name of its issuer and key are given as SHA-1, which every responder
 * knows and which protects nothing here: it only says which authority is meant.
 */
export function ocspRequest({ certificate, issuer, nonce }: Pick<OcspQuestion, 'certificate' | 'issuer' | 'nonce'>): Buffer {
  const requestExtensions =
    nonce === undefined
      ? {}
      : { requestExtensions: [new Extension({ extnID: ocsp.id_pkix_ocsp_nonce, extnValue: octets(derOctets(nonce)) })] }
  const tbsRequest = new ocsp.TBSRequest({
    requestList: [new ocsp.Request({ reqCert: certId(certificate, issuer) })],
    ...requestExtensions,
  })
  return Buffer.from(AsnConvert.serialize(new ocsp.OCSPRequest({ tbsRequest })))
}

const derOctets = (bytes: Uint8Array): Buffer => Buffer.from(AsnConvert.serialize(octets(bytes)))

/** How a certificate is named in OCSP, by whoever asks and whoever answers. */
export function certId(certificate: X509Certificate, issuer: X509Certificate): ocsp.CertID {
  const { subject, publicKey } = partsOf(issuer)
  return new ocsp.CertID({
    hashAlgorithm: new AlgorithmIdentifier({ algorithm: sha1, parameters: null }),
    issuerNameHash: octets(hash('sha1', subject, 'buffer')),
    issuerKeyHash: octets(hash('sha1', publicKey, 'buffer')),
    serialNumber: Uint8Array.from(partsOf(certificate).serialNumber).buffer,
  })
}

/** Bytes as the certificate has them: encoded again they might be others, and hashes are of bytes. */
export function partsOf({ raw }: X509Certificate): { serialNumber: Uint8Array; subject: Uint8Array; publicKey: Uint8Array } {
  const [tbs] = childrenOf(only(raw, derTags.sequence))
  const parts = childrenOf(expected(tbs, derTags.sequence))
  const [serial, , , , subject, keyInfo] = parts[0]?.tag === derTags.integer ? parts : parts.slice(1)
  const [, key] = childrenOf(expected(keyInfo, derTags.sequence))
  return {
    serialNumber: expected(serial, derTags.integer).content,
    subject: expected(subject, derTags.sequence).raw,
    // The first byte of a bit string says how many bits of the last one are none.
    publicKey: expected(key, derTags.bits).content.subarray(1),
  }
}

/** Clocks of others are not ours. */
const skewMs = 5 * 60_000
/** A response without an end is from somebody who always has a newer one. */
const withoutEndLastsMs = 10 * 60_000

/**
 * What a response says of a certificate: signed by its issuer, or by whom the issuer lets answer for it (RFC 6960 section 4.2.2.2), about this
 * certificate, current, and for this request if it says for which. It does NOT ask whether the responder's own certificate was
 * revoked: the caller does, with what is answered as `responder`.
 *
 * @throws {OcspError}
 */
export function readOcspResponse(
  der: Uint8Array,
  question: OcspQuestion,
): OcspAnswer & { readonly responder: X509Certificate | undefined } {
  const basic = parsed(der)
  const responder = verified(basic, question.issuer, question.now)
  const { responses, responseExtensions } = basic.message.tbsResponseData
  assertNonce(responseExtensions ?? [], question.nonce)
  const wanted = certId(question.certificate, question.issuer)
  const found = responses.find(({ certID }) => isSameId(certID, wanted))
  if (found === undefined) throw new OcspError('the response is about another certificate')
  const { thisUpdate, nextUpdate = new Date(thisUpdate.getTime() + withoutEndLastsMs) } = found
  if (thisUpdate.getTime() > question.now.getTime() + skewMs) throw new OcspError('the response is from the future')
  if (nextUpdate <= thisUpdate) throw new OcspError('the response ends before it begins')
  return { status: statusOf(found.certStatus), thisUpdate, nextUpdate, responder }
}

type Basic = { readonly message: ocsp.BasicOCSPResponse; readonly certificates: readonly X509Certificate[] }

function parsed(der: Uint8Array): Basic {
  try {
    const { responseStatus, responseBytes } = AsnConvert.parse(Uint8Array.from(der), ocsp.OCSPResponse)
    if (responseStatus !== ocsp.OCSPResponseStatus.successful)
      throw new OcspError(`the responder answered ${ocsp.OCSPResponseStatus[responseStatus] ?? responseStatus}`)
    if (responseBytes?.responseType !== ocsp.id_pkix_ocsp_basic) throw new OcspError('the response is of a type that is not known')
    const basic = Buffer.from(responseBytes.response.buffer)
    return { message: AsnConvert.parse(basic, ocsp.BasicOCSPResponse), certificates: certificatesIn(basic) }
  } catch (cause) {
    if (cause instanceof OcspError) throw cause
    throw new OcspError('what was answered is no OCSP response', { cause })
  }
}

const certificatesAtMost = 4

function certificatesIn(basic: Uint8Array): X509Certificate[] {
  const [, , , certificates] = childrenOf(only(basic, derTags.sequence))
  const [list] = certificates === undefined ? [] : childrenOf(certificates)
  const each: DerElement[] = list === undefined ? [] : childrenOf(expected(list, derTags.sequence))
  return each.slice(0, certificatesAtMost).map(({ raw }) => new X509Certificate(raw))
}

const statusOf = ({ good, revoked }: ocsp.CertStatus): OcspAnswer['status'] =>
  revoked !== undefined ? 'revoked' : good === undefined ? 'unknown' : 'good'

function assertNonce(extensions: readonly Extension[], sent: Uint8Array | undefined): void {
  const found = extensions.find(({ extnID }) => extnID === ocsp.id_pkix_ocsp_nonce)
  if (found === undefined || sent === undefined) return
  if (!bytesOf(found.extnValue).equals(derOctets(sent))) throw new OcspError('the response is to another request')
}

function isSameId(one: ocsp.CertID, other: ocsp.CertID): boolean {
  return (
    one.hashAlgorithm.algorithm === other.hashAlgorithm.algorithm &&
    bytesOf(one.serialNumber).equals(bytesOf(other.serialNumber)) &&
    bytesOf(one.issuerNameHash).equals(bytesOf(other.issuerNameHash)) &&
    bytesOf(one.issuerKeyHash).equals(bytesOf(other.issuerKeyHash))
  )
}

/** @returns whom the issuer lets answer, or undefined where it answered itself. */
function verified({ message, certificates }: Basic, issuer: X509Certificate, now: Date): X509Certificate | undefined {
  const responder = [issuer, ...certificates].find((candidate) => isNamed(candidate, message.tbsResponseData.responderID))
  if (responder === undefined) throw new OcspError('the response does not hold the certificate of its responder')
  const delegated = !responder.raw.equals(issuer.raw)
  if (delegated) assertMayAnswer(responder, issuer, now)
  if (!isSigned(message, responder.publicKey)) throw new OcspError('the signature of the response is not good')
  return delegated ? responder : undefined
}

function isNamed(certificate: X509Certificate, { byName, byKey }: ocsp.ResponderID): boolean {
  const { subject, publicKey } = partsOf(certificate)
  if (byKey !== undefined) return bytesOf(byKey).equals(hash('sha1', publicKey, 'buffer'))
  return byName !== undefined && Buffer.from(AsnConvert.serialize(byName)).equals(subject)
}

function assertMayAnswer(responder: X509Certificate, issuer: X509Certificate, now: Date): void {
  if (!isIssuedBy(responder, issuer)) throw new OcspError('the responder is none of this issuer')
  if (responder.keyUsage?.includes(ocsp.id_kp_OCSPSigning) !== true) throw new OcspError('the responder is not one that may answer')
  if (responder.validFromDate > now || responder.validToDate < now) throw new OcspError('the certificate of the responder is not current')
}

/** Whether the issuer says that nobody need ask about this responder (RFC 6960 section 4.2.2.2.1). */
export const needsNoCheck = (responder: X509Certificate): boolean =>
  (AsnConvert.parse(responder.raw, Certificate).tbsCertificate.extensions ?? []).some(({ extnID }) => extnID === ocsp.id_pkix_ocsp_nocheck)

/** Nothing older than SHA-256. */
const algorithms: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
}
const pss = '1.2.840.113549.1.1.10'
const hashes: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}

function isSigned({ tbsResponseDataRaw, signatureAlgorithm, signature }: ocsp.BasicOCSPResponse, publicKey: KeyObject): boolean {
  const { algorithm, parameters } = signatureAlgorithm
  try {
    const digest = algorithm === pss ? hashOfPss(parameters) : algorithms[algorithm]
    if (digest === undefined || (digest === null) !== (publicKey.asymmetricKeyType === 'ed25519')) return false
    const key = algorithm === pss ? { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING } : publicKey
    return verify(digest, Buffer.from(tbsResponseDataRaw ?? new ArrayBuffer(0)), key, Buffer.from(signature))
  } catch {
    return false // An algorithm for another kind of key, or parameters that are none.
  }
}

const hashOfPss = (parameters: ArrayBuffer | null | undefined): string | undefined =>
  hashes[AsnConvert.parse(parameters ?? new ArrayBuffer(0), RsaSaPssParams).hashAlgorithm.algorithm]
