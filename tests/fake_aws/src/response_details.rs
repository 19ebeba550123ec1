//! Response fields that a scan does not use. They make the responses as long as those of AWS, with nested lists whose `item`
//! elements are not resources.

/// The fields of an EC2 instance.
pub(crate) const INSTANCE: &str = "\
<keyName>deploy</keyName><clientToken>9f4c1d52-7c1e-4bb0-9a51-2f5f6a0c7d11</clientToken>\
<privateIpAddress>10.20.31.17</privateIpAddress><ipAddress>203.0.113.25</ipAddress>\
<sourceDestCheck>true</sourceDestCheck><ebsOptimized>true</ebsOptimized><enaSupport>true</enaSupport>\
<groupSet><item><groupId>sg-0a1b2c3d4e5f60718</groupId><groupName>shop-web</groupName></item>\
<item><groupId>sg-0a1b2c3d4e5f60719</groupId><groupName>baseline</groupName></item></groupSet>\
<rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping>\
<item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-0aaaaaaaaaaaaaaa1</volumeId><status>attached</status>\
<attachTime>2026-03-04T05:06:08.000Z</attachTime><deleteOnTermination>true</deleteOnTermination></ebs></item>\
<item><deviceName>/dev/sdf</deviceName><ebs><volumeId>vol-0aaaaaaaaaaaaaaa2</volumeId><status>attached</status>\
<attachTime>2026-03-04T05:06:08.000Z</attachTime><deleteOnTermination>false</deleteOnTermination></ebs></item>\
</blockDeviceMapping><virtualizationType>hvm</virtualizationType><hypervisor>xen</hypervisor>\
<networkInterfaceSet><item><networkInterfaceId>eni-0bbbbbbbbbbbbbbb1</networkInterfaceId>\
<subnetId>subnet-00000000000000001</subnetId><vpcId>vpc-00000000000000001</vpcId><description/>\
<ownerId>111122223333</ownerId><status>in-use</status><macAddress>0a:1b:2c:3d:4e:5f</macAddress>\
<privateIpAddress>10.20.31.17</privateIpAddress>\
<privateDnsName>ip-10-20-31-17.eu-west-1.compute.internal</privateDnsName><sourceDestCheck>true</sourceDestCheck>\
<groupSet><item><groupId>sg-0a1b2c3d4e5f60718</groupId><groupName>shop-web</groupName></item>\
<item><groupId>sg-0a1b2c3d4e5f60719</groupId><groupName>baseline</groupName></item></groupSet>\
<attachment><attachmentId>eni-attach-0ccccccccccccccc1</attachmentId><deviceIndex>0</deviceIndex>\
<status>attached</status><attachTime>2026-03-04T05:06:07.000Z</attachTime>\
<deleteOnTermination>true</deleteOnTermination><networkCardIndex>0</networkCardIndex></attachment>\
<association><publicIp>203.0.113.25</publicIp>\
<publicDnsName>ec2-203-0-113-25.eu-west-1.compute.amazonaws.com</publicDnsName><ipOwnerId>amazon</ipOwnerId>\
</association><privateIpAddressesSet><item><privateIpAddress>10.20.31.17</privateIpAddress>\
<privateDnsName>ip-10-20-31-17.eu-west-1.compute.internal</privateDnsName><primary>true</primary>\
<association><publicIp>203.0.113.25</publicIp>\
<publicDnsName>ec2-203-0-113-25.eu-west-1.compute.amazonaws.com</publicDnsName><ipOwnerId>amazon</ipOwnerId>\
</association></item></privateIpAddressesSet><ipv6AddressesSet/><interfaceType>interface</interfaceType>\
<ipv4PrefixSet/><ipv6PrefixSet/><operator><managed>false</managed></operator></item></networkInterfaceSet>\
<iamInstanceProfile><arn>arn:aws:iam::111122223333:instance-profile/shop-web</arn><id>AIPAEXAMPLEEXAMPLE123</id>\
</iamInstanceProfile><cpuOptions><coreCount>1</coreCount><threadsPerCore>2</threadsPerCore></cpuOptions>\
<capacityReservationSpecification><capacityReservationPreference>open</capacityReservationPreference>\
</capacityReservationSpecification><hibernationOptions><configured>false</configured></hibernationOptions>\
<enclaveOptions><enabled>false</enabled></enclaveOptions><metadataOptions><state>applied</state>\
<httpTokens>required</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit>\
<httpEndpoint>enabled</httpEndpoint><httpProtocolIpv4>enabled</httpProtocolIpv4>\
<httpProtocolIpv6>disabled</httpProtocolIpv6><instanceMetadataTags>disabled</instanceMetadataTags></metadataOptions>\
<maintenanceOptions><autoRecovery>default</autoRecovery><rebootMigration>default</rebootMigration>\
</maintenanceOptions><privateDnsNameOptions><hostnameType>ip-name</hostnameType>\
<enableResourceNameDnsARecord>false</enableResourceNameDnsARecord>\
<enableResourceNameDnsAAAARecord>false</enableResourceNameDnsAAAARecord></privateDnsNameOptions>\
<platformDetails>Linux/UNIX</platformDetails><usageOperation>RunInstances</usageOperation>\
<usageOperationUpdateTime>2026-03-04T05:06:07.000Z</usageOperationUpdateTime>\
<bootMode>uefi-preferred</bootMode><currentInstanceBootMode>uefi</currentInstanceBootMode>\
<networkPerformanceOptions><bandwidthWeighting>default</bandwidthWeighting></networkPerformanceOptions>\
<operator><managed>false</managed></operator>";

/// The fields of an EBS volume.
pub(crate) const VOLUME: &str = "\
<attachmentSet><item><volumeId>vol-0aaaaaaaaaaaaaaa1</volumeId><instanceId>i-0ddddddddddddddd1</instanceId>\
<device>/dev/xvda</device><status>attached</status><attachTime>2026-03-04T05:06:08.000Z</attachTime>\
<deleteOnTermination>true</deleteOnTermination></item></attachmentSet>\
<iops>3000</iops><throughput>125</throughput><multiAttachEnabled>false</multiAttachEnabled>\
<kmsKeyId>arn:aws:kms:eu-west-1:111122223333:key/8c1c7f0e-6b1f-4a51-9d42-1d1f1f6f2a10</kmsKeyId>\
<operator><managed>false</managed></operator>";

/// The fields of an RDS instance.
pub(crate) const DB_INSTANCE: &str = "\
<MasterUsername>dba</MasterUsername><Endpoint><Address>shop.abcdefghijkl.eu-west-1.rds.amazonaws.com</Address>\
<Port>5432</Port><HostedZoneId>Z29XKXDKYMONMX</HostedZoneId></Endpoint><AllocatedStorage>200</AllocatedStorage>\
<PreferredBackupWindow>03:00-03:30</PreferredBackupWindow><BackupRetentionPeriod>7</BackupRetentionPeriod>\
<DBSecurityGroups/><VpcSecurityGroups><VpcSecurityGroupMembership><VpcSecurityGroupId>sg-0a1b2c3d4e5f60718\
</VpcSecurityGroupId><Status>active</Status></VpcSecurityGroupMembership></VpcSecurityGroups><DBParameterGroups>\
<DBParameterGroup><DBParameterGroupName>default.postgres17</DBParameterGroupName>\
<ParameterApplyStatus>in-sync</ParameterApplyStatus></DBParameterGroup></DBParameterGroups>\
<AvailabilityZone>eu-west-1a</AvailabilityZone><DBSubnetGroup><DBSubnetGroupName>data</DBSubnetGroupName>\
<DBSubnetGroupDescription>data subnets</DBSubnetGroupDescription><VpcId>vpc-00000000000000001</VpcId>\
<SubnetGroupStatus>Complete</SubnetGroupStatus><Subnets><Subnet><SubnetIdentifier>subnet-00000000000000001\
</SubnetIdentifier><SubnetAvailabilityZone><Name>eu-west-1a</Name></SubnetAvailabilityZone><SubnetOutpost/>\
<SubnetStatus>Active</SubnetStatus></Subnet><Subnet><SubnetIdentifier>subnet-00000000000000002</SubnetIdentifier>\
<SubnetAvailabilityZone><Name>eu-west-1b</Name></SubnetAvailabilityZone><SubnetOutpost/>\
<SubnetStatus>Active</SubnetStatus></Subnet><Subnet><SubnetIdentifier>subnet-00000000000000003</SubnetIdentifier>\
<SubnetAvailabilityZone><Name>eu-west-1c</Name></SubnetAvailabilityZone><SubnetOutpost/>\
<SubnetStatus>Active</SubnetStatus></Subnet></Subnets></DBSubnetGroup>\
<PreferredMaintenanceWindow>sun:04:00-sun:04:30</PreferredMaintenanceWindow><PendingModifiedValues/>\
<LatestRestorableTime>2026-11-01T01:02:03Z</LatestRestorableTime><MultiAZ>true</MultiAZ>\
<EngineVersion>17.4</EngineVersion><AutoMinorVersionUpgrade>true</AutoMinorVersionUpgrade>\
<ReadReplicaDBInstanceIdentifiers/><LicenseModel>postgresql-license</LicenseModel><Iops>3000</Iops>\
<OptionGroupMemberships><OptionGroupMembership><OptionGroupName>default:postgres-17</OptionGroupName>\
<Status>in-sync</Status></OptionGroupMembership></OptionGroupMemberships>\
<SecondaryAvailabilityZone>eu-west-1b</SecondaryAvailabilityZone><PubliclyAccessible>false</PubliclyAccessible>\
<StorageType>gp3</StorageType><DbInstancePort>0</DbInstancePort><StorageEncrypted>true</StorageEncrypted>\
<KmsKeyId>arn:aws:kms:eu-west-1:111122223333:key/8c1c7f0e-6b1f-4a51-9d42-1d1f1f6f2a10</KmsKeyId>\
<DbiResourceId>db-ABCDEFGHIJKLMNOPQRSTUVWXYZ</DbiResourceId><CACertificateIdentifier>rds-ca-rsa2048-g1\
</CACertificateIdentifier><DomainMemberships/><CopyTagsToSnapshot>true</CopyTagsToSnapshot>\
<MonitoringInterval>60</MonitoringInterval><MonitoringRoleArn>arn:aws:iam::111122223333:role/rds-monitoring\
</MonitoringRoleArn><IAMDatabaseAuthenticationEnabled>true</IAMDatabaseAuthenticationEnabled>\
<PerformanceInsightsEnabled>true</PerformanceInsightsEnabled><DeletionProtection>true</DeletionProtection>\
<AssociatedRoles/><MaxAllocatedStorage>1000</MaxAllocatedStorage><CustomerOwnedIpEnabled>false\
</CustomerOwnedIpEnabled><NetworkType>IPV4</NetworkType><ActivityStreamStatus>stopped</ActivityStreamStatus>\
<BackupTarget>region</BackupTarget><StorageThroughput>125</StorageThroughput><CertificateDetails>\
<CAIdentifier>rds-ca-rsa2048-g1</CAIdentifier><ValidTill>2027-01-01T00:00:00Z</ValidTill></CertificateDetails>\
<DedicatedLogVolume>false</DedicatedLogVolume><IsStorageConfigUpgradeAvailable>false</IsStorageConfigUpgradeAvailable>\
<EngineLifecycleSupport>open-source-rds-extended-support</EngineLifecycleSupport>";
