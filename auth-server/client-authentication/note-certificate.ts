import type { ClientCertificate } from '@bankside/service-kit/client-certificate'
import type { Clock } from '@bankside/service-kit/clock'
import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import type { Prepared } from '@bankside/service-kit/prepared'
import { protocolErrors } from '../protocol-errors.ts'

/** @returns undefined for one that is noted already, which is nearly always. */
export type NoteCertificate = (clientId: string, found: ClientCertificate | undefined) => Promise<void> | undefined

const rememberedAtMost = 10_000

/** Writes down, once, with which certificate a client that has shown who it is holds its connection (CERT-15). */
export function noteCertificates(prepared: Prepared, clock: Clock): NoteCertificate {
  const noted = leastRecentlyUsed<string, true>(rememberedAtMost)
  return (clientId, found) => {
    if (found === undefined || !(found.trusted || found.selfSigned)) return undefined
    const key = `${clientId} ${found.thumbprint}`
    if (noted.get(key)) return undefined
    return protocolErrors(write(prepared, clientId, found, clock.now())).then(() => noted.set(key, true))
  }
}

const issuerAtMostLength = 1_000

async function write(prepared: Prepared, clientId: string, { thumbprint, certificate }: ClientCertificate, now: Date): Promise<void> {
  const issuer = certificate.issuer.replaceAll('\n', ', ').slice(0, issuerAtMostLength)
  await prepared.query(
    'note_certificate',
    `insert into clients.certificate (client_id, thumbprint, serial_number, issuer, expires_at, first_seen_at)
     values ($1, $2, $3, $4, $5, $6) on conflict on constraint certificate_is_noted_once do nothing`,
    [clientId, thumbprint, certificate.serialNumber, issuer, certificate.validToDate, now],
  )
}
