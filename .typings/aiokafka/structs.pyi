from aiokafka import ConsumerRecord as ConsumerRecord
from aiokafka import OffsetAndMetadata as OffsetAndMetadata
from aiokafka import TopicPartition as TopicPartition
