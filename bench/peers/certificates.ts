import 'reflect-metadata'
import { createHash, randomBytes, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

export type Certificate = { readonly key: string; readonly cert: string }
export type PeerCertificates = {
  readonly ca: string
  /** RSA-2048 first, then P-256, as the product has them. */
  readonly server: readonly Certificate[]
  readonly client: Certificate & { readonly thumbprint: string }
}

const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }
const ec = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const dayMs = 86_400_000

/** A certificate authority of one run, for the peers only. */
export async function issueCertificates(): Promise<PeerCertificates> {
  const caKeys = await generate(ec)
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: 'CN=bench',
    keys: caKeys,
    signingAlgorithm: ec,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  })
  const issue = async (algorithm: typeof rsa | typeof ec, name: string) => {
    const keys = await generate(algorithm)
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity(),
      subject: `CN=${name}`,
      issuer: ca.subject,
      publicKey: keys.publicKey,
      signingKey: caKeys.privateKey,
      signingAlgorithm: ec,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }])],
    })
    const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
    return {
      key,
      cert: certificate.toString('pem'),
      thumbprint: createHash('sha256').update(Buffer.from(certificate.rawData)).digest('base64url'),
    }
  }
  return {
    ca: ca.toString('pem'),
    server: [await issue(rsa, 'localhost'), await issue(ec, 'localhost')],
    client: await issue(ec, 'bench client'),
  }
}

const generate = (algorithm: typeof rsa | typeof ec) =>
  webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>

const validity = () => ({
  serialNumber: randomBytes(8).toString('hex').replace(/^./, '4'),
  notBefore: new Date(Date.now() - dayMs),
  notAfter: new Date(Date.now() + dayMs),
})
