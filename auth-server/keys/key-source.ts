import { readConfig } from '@bankside/service-kit/config'
import { z } from 'zod'
import { type KeyMaterial, keySettings } from './key-material.ts'

/**
 * Where keys and secrets come from. What is read may change at any time; a key is there long enough before it signs for
 * everybody to have seen it. A key service or PKCS#11 module stands behind the same: its keys are `ExternalSigningKey`s of
 * oidc-provider, whose private part never comes here.
 */
export type KeySource = {
  /** @throws when they cannot be read, or are not what they must be. */
  read(): Promise<KeyMaterial>
}

/** The settings of this process: files that `SIGNING_KEYS_FILE` and `SECRETS_FILE` name are read anew each time. */
export const keysFromSettings = (environment?: Parameters<typeof readConfig>[1]): KeySource => ({
  read: async () => readConfig(z.object(keySettings), environment),
})
