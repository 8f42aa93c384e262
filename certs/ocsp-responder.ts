import 'reflect-metadata' // First: the ASN.1 schemas do not load without it.
import { createPrivateKey, hash, sign, X509Certificate } from 'node:crypto'
import { partsOf } from '@bankside/service-kit/ocsp-message'
import * as ocsp from '@peculiar/asn1-ocsp'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import { AlgorithmIdentifier, Certificate, type Extension } from '@peculiar/asn1-x509'
import type { Credential } from './authority.ts'

/** By the serial number as `node:crypto` writes it. */
export type StatusOf = (serialNumber: string) => 'good' | 'unknown' | { readonly revokedAt: Date }

export type OcspResponder = {
  /** Who signs: the authority, or one with a certificate of its that may. */
  readonly signer: Credential
  readonly statusOf: StatusOf
  readonly now: Date
  readonly nextUpdate?: Date | undefined
  /** Whether the certificate of the signer comes with it. */
  readonly withCertificate?: boolean
  /** Whether what is answered says to which request. */
  readonly withNonce?: boolean
}

/** Answers a request as an authority does (RFC 6960 section 4.2.1), with ECDSA or RSA, and SHA-256. */
export function answerOcsp(request: Uint8Array, responder: OcspResponder): Buffer {
  const parsed = parse(request)
  if (parsed === undefined) return refused(ocsp.OCSPResponseStatus.malformedRequest)
  const { signer, now, nextUpdate, withNonce = true } = responder
  const nonces = (parsed.requestExtensions ?? []).filter(({ extnID }) => withNonce && extnID === ocsp.id_pkix_ocsp_nonce)
  const { publicKey } = partsOf(new X509Certificate(signer.cert))
  const tbsResponseData = new ocsp.ResponseData({
    responderID: new ocsp.ResponderID({ byKey: new ocsp.KeyHash(Uint8Array.from(hash('sha1', publicKey, 'buffer')).buffer) }),
    producedAt: wholeSeconds(now),
    responses: parsed.requestList.map(
      ({ reqCert: certID }) =>
        new ocsp.SingleResponse({
          certID,
          certStatus: certStatus(responder.statusOf(serialOf(certID))),
          thisUpdate: wholeSeconds(now),
          ...(nextUpdate && { nextUpdate: wholeSeconds(nextUpdate) }),
        }),
    ),
    ...(nonces.length > 0 && { responseExtensions: nonces }),
  })
  return signed(tbsResponseData, responder)
}

type Request = { readonly requestList: readonly ocsp.Request[]; readonly requestExtensions?: readonly Extension[] | undefined }

function parse(request: Uint8Array): Request | undefined {
  try {
    return AsnConvert.parse(Uint8Array.from(request), ocsp.OCSPRequest).tbsRequest
  } catch {
    return undefined // It is told so.
  }
}

const refused = (responseStatus: ocsp.OCSPResponseStatus): Buffer =>
  Buffer.from(AsnConvert.serialize(new ocsp.OCSPResponse({ responseStatus })))

const wholeSeconds = (date: Date): Date => new Date(Math.floor(date.getTime() / 1_000) * 1_000)

const serialOf = ({ serialNumber }: ocsp.CertID): string => Buffer.from(serialNumber).toString('hex').replace(/^00/, '').toUpperCase()

function certStatus(status: ReturnType<StatusOf>): ocsp.CertStatus {
  if (status === 'good') return new ocsp.CertStatus({ good: null })
  if (status === 'unknown') return new ocsp.CertStatus({ unknown: null })
  return new ocsp.CertStatus({ revoked: new ocsp.RevokedInfo({ revocationTime: wholeSeconds(status.revokedAt) }) })
}

const withSha256 = { ec: '1.2.840.10045.4.3.2', rsa: '1.2.840.113549.1.1.11' } as const

function signed(tbsResponseData: ocsp.ResponseData, { signer, withCertificate = false }: OcspResponder): Buffer {
  const key = createPrivateKey(signer.key)
  const data = Buffer.from(AsnConvert.serialize(tbsResponseData))
  const certificate = AsnConvert.parse(new X509Certificate(signer.cert).raw, Certificate)
  const basic = new ocsp.BasicOCSPResponse({
    tbsResponseData,
    signatureAlgorithm: new AlgorithmIdentifier({ algorithm: withSha256[key.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec'] }),
    signature: Uint8Array.from(sign('sha256', data, key)).buffer,
    ...(withCertificate && { certs: [certificate] }),
  })
  const responseBytes = new ocsp.ResponseBytes({
    responseType: ocsp.id_pkix_ocsp_basic,
    response: new OctetString(AsnConvert.serialize(basic)),
  })
  return Buffer.from(AsnConvert.serialize(new ocsp.OCSPResponse({ responseStatus: ocsp.OCSPResponseStatus.successful, responseBytes })))
}
