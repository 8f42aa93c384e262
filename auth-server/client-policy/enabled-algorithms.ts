import type { Configuration } from 'oidc-provider'
import type { Config } from '../config.ts'
import { allOfProfiles } from './profiles.ts'

/** All that any profile has; who may have less is held to it by our own checks. What this server signs with, it has a key for. */
export function enabledAlgorithms({ keys }: Config['SIGNING_KEYS']): NonNullable<Configuration['enabledJWA']> {
  const accepted = () => allOfProfiles(({ signingAlgorithms }) => signingAlgorithms)
  const made = () =>
    allOfProfiles(({ responseAlgorithms }) => responseAlgorithms).filter((algorithm) => keys.some(({ alg }) => alg === algorithm))
  return {
    clientAuthSigningAlgValues: accepted(),
    requestObjectSigningAlgValues: accepted(),
    dPoPSigningAlgValues: ['ES256', 'PS256', 'EdDSA', 'Ed25519'],
    idTokenSigningAlgValues: made(),
    authorizationSigningAlgValues: made(),
    userinfoSigningAlgValues: made(),
    introspectionSigningAlgValues: made(),
  }
}
