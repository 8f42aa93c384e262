import type { Algorithm } from './load/signing.ts'
import type { Sides } from './measure/compare.ts'
import type { Options } from './options.ts'
import { issueCertificates } from './peers/certificates.ts'
import type { Stopping } from './processes/stopping.ts'
import { startPeerTarget } from './targets/peer.ts'
import { startProductTarget } from './targets/product.ts'

/** Starts the two sides on one PostgreSQL server: the product and the peer, or two peers. */
export async function startSides(
  options: Options,
  stopping: Stopping,
  say: (text: string) => void,
): Promise<{ readonly sides: Sides; readonly adminUrl: string }> {
  const certificates = await issueCertificates()
  const peer = (name: string, adminUrl: string, clientAlgorithm: Algorithm = 'ES256') => {
    say(`starting the ${name}`)
    return startPeerTarget({ name, adminUrl, certificates, customers: options.customers, clientAlgorithm }, stopping)
  }
  if (options.databaseUrl !== undefined) {
    const adminUrl = options.databaseUrl
    return { adminUrl, sides: [await peer('peer', adminUrl), await peer('same peer', adminUrl)] }
  }
  say('starting a sandbox of its own')
  const { target, adminUrl } = await startProductTarget(options.customers, stopping)
  if (options.selfCheck) return { adminUrl, sides: [await peer('peer', adminUrl), await peer('same peer', adminUrl)] }
  return { adminUrl, sides: [target, await peer('naive peer', adminUrl, target.client.key.algorithm)] }
}
