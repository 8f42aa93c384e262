import { addressList, databaseUrl, logLevel, port, readConfig, sealingKeys } from '@bankside/service-kit/config'
import { z } from '@bankside/service-kit/postgres'
import { refuseHalf, sealingSettings } from './audit-settings.ts'
import { outsideCheckSettings, refuseUnsignedChecks } from './outside-check-settings.ts'
import { registerSettings } from './registers.ts'

export const workerSettings = z
  .object({
    DATABASE_URL: databaseUrl,
    OPERATIONS_PORT: port,
    OPERATIONS_ADDRESS: z.string().default('127.0.0.1'),
    /** As the authorization server has them: what third parties are called with is sealed until then. */
    NOTIFICATION_KEYS: sealingKeys,
    /** Whom to trust when third parties are called, instead of the authorities that come with Node. */
    OUTBOUND_CA: z.string().optional(),
    /** `host` or `host:port`: may be called although they are inside the bank's network. */
    OUTBOUND_PRIVATE_HOSTS: addressList,
    /** Whom to ask whether third parties are still authorised, and as what (CERT-08). */
    REGISTERS: registerSettings,
    /** For how long what a register answered last is good enough: then somebody has to look. */
    REGISTER_SILENT_HOURS: z
      .string()
      .regex(/^[0-9]{1,3}$/, 'must be a number of hours')
      .default('72')
      .transform(Number),
    ...sealingSettings,
    ...outsideCheckSettings,
    LOG_LEVEL: logLevel,
  })
  .superRefine(refuseHalf)
  .superRefine(refuseUnsignedChecks)
export type WorkerConfig = z.infer<typeof workerSettings>

export const readWorkerConfig = (): WorkerConfig => readConfig(workerSettings)
