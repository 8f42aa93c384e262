import type { Sides } from './measure/compare.ts'
import type { Options } from './options.ts'
import { issueCertificates } from './peers/certificates.ts'
import { startPeerTarget } from './targets/peer.ts'
import { startProductTarget } from './targets/product.ts'

/** What has to be undone at the end, in the order in which it was done. */
export type Stopping = (() => Promise<unknown>)[]

/** Starts the two sides on one PostgreSQL server: the product and the peer, or two peers. */
export async function startSides(
  options: Options,
  stopping: Stopping,
  say: (text: string) => void,
): Promise<{ readonly sides: Sides; readonly adminUrl: string }> {
  const certificates = await issueCertificates()
  const nodeOptions = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`]
  const peer = async (name: string, adminUrl: string) => {
    say(`starting ${name}`)
    const { target, stop } = await startPeerTarget({ name, adminUrl, certificates, customers: options.customers, nodeOptions })
    stopping.push(stop)
    return target
  }
  if (options.databaseUrl !== undefined) {
    const adminUrl = options.databaseUrl
    return { adminUrl, sides: [await peer('peer', adminUrl), await peer('same peer', adminUrl)] }
  }
  say('starting a sandbox of its own')
  const product = await startProductTarget({ customers: options.customers, nodeOptions })
  stopping.push(product.stop)
  const { adminUrl } = product
  if (options.selfCheck) return { adminUrl, sides: [await peer('peer', adminUrl), await peer('same peer', adminUrl)] }
  return { adminUrl, sides: [product.target, await peer('naive peer', adminUrl)] }
}
